package launch

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/tatami-platform/tatami/cluster/internal/deploy"
	"github.com/tatami-platform/tatami/cluster/internal/instance"
	"github.com/tatami-platform/tatami/cluster/internal/node"
	shop "github.com/tatami-platform/tatami/examples/shop/deploy"
	"github.com/tatami-platform/tatami/internal/control"
)

const (
	shopNamespace = "shop"
	shopProgram   = "shop"
	shopImage     = "tatami.dev/shop:dev"
	ordersMetric  = "shop_orders_processed_total"
)

// deployShop deploys the sample shop and waits until the worker has taken an
// order that the load put in at the front.
func (p *Platform) deployShop(ctx context.Context, c instance.Config, pr control.Progress) error {
	objects, err := deploy.BuildFS(shop.Files, "the sample shop")
	if err != nil {
		return err
	}
	if c.RealNode {
		pr.Step("loading the sample shop's image")
		if err := loadShop(ctx, c); err != nil {
			return err
		}
	}
	pr.Step("deploying the sample shop")
	if err := p.apply(ctx, c, objects); err != nil {
		return err
	}
	if !c.RealNode {
		pr.Note("the shop's pods stay pending: there is no node to run them")
		return nil
	}
	return p.waitOrders(ctx, c, pr)
}

func loadShop(ctx context.Context, c instance.Config) error {
	images, err := node.OpenImages(c)
	if err != nil {
		return err
	}
	defer images.Close() //nolint:errcheck // a connection
	return images.EnsureProgram(ctx, c, shopProgram, shopImage)
}

func (p *Platform) waitOrders(ctx context.Context, c instance.Config, pr control.Progress) error {
	cfg, err := restConfig(c)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	pr.Step("waiting for orders to flow")
	for {
		state := "not deployed"
		if s := shopStatus(ctx, client); s != nil {
			if s.Ready && s.OrdersProcessed > 0 {
				return nil
			}
			state = podsDetail(ctx, client)
		}
		pr.Detail(state)
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			return &control.Problem{
				What: "the sample shop did not get going in time",
				Why:  errors.New(state),
				Next: "look at `kubectl -n shop get pods,events`; the cluster itself runs",
			}
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func podsDetail(ctx context.Context, client *kubernetes.Clientset) string {
	pods, err := client.CoreV1().Pods(shopNamespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err.Error()
	}
	ready := 0
	for i := range pods.Items {
		for _, cond := range pods.Items[i].Status.Conditions {
			if cond.Type == "Ready" && cond.Status == "True" {
				ready++
			}
		}
	}
	return fmt.Sprintf("%d of %d pods ready", ready, len(pods.Items))
}

// shopStatus is nil while the shop is not deployed.
func shopStatus(ctx context.Context, client *kubernetes.Clientset) *control.Shop {
	list, err := client.AppsV1().Deployments(shopNamespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/part-of=shop"})
	if err != nil || len(list.Items) == 0 {
		return nil
	}
	s := &control.Shop{Ready: true}
	for i := range list.Items {
		d := &list.Items[i]
		wanted := int32(1)
		if d.Spec.Replicas != nil {
			wanted = *d.Spec.Replicas
		}
		s.Ready = s.Ready && d.Status.ReadyReplicas >= wanted && d.Status.ObservedGeneration >= d.Generation
	}
	if n, err := ordersProcessed(ctx, client); err == nil {
		s.OrdersProcessed = n
	}
	return s
}

// ordersProcessed reads the workers' metric through the API server.
func ordersProcessed(ctx context.Context, client *kubernetes.Clientset) (int64, error) {
	raw, err := client.CoreV1().Services(shopNamespace).ProxyGet("http", "worker", "metrics", "metrics", nil).DoRaw(ctx)
	if err != nil {
		if apierrors.IsServiceUnavailable(err) {
			return 0, errors.New("no worker is ready")
		}
		return 0, err
	}
	return sumMetric(raw, ordersMetric)
}

// sumMetric adds up the samples of one metric in Prometheus' text format.
func sumMetric(text []byte, name string) (int64, error) {
	var sum float64
	found := false
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		line := lines.Text()
		rest, ok := strings.CutPrefix(line, name)
		if !ok || rest == "" || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		if i := strings.LastIndexByte(rest, '}'); i >= 0 {
			rest = rest[i+1:]
		}
		// A time may follow the value.
		text, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return 0, fmt.Errorf("sample of %s makes no sense: %q", name, line)
		}
		sum += v
		found = true
	}
	if !found {
		return 0, fmt.Errorf("no sample of %s", name)
	}
	return int64(sum), nil
}
