package publish

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/tatami-platform/tatami/cluster/internal/relay"
)

// Listen opens a listener on the host.
type Listen func(ctx context.Context, addr string) (net.Listener, error)

// Publisher keeps listeners and services in step.
type Publisher struct {
	client  kubernetes.Interface
	listen  Listen
	changed func(urls map[string]string)

	mu   sync.Mutex
	open map[key]*forward
}

// key is one port of one service; what it forwards to is part of it, so that a
// changed service gets a new listener.
type key struct {
	service string
	port    int32
	target  string
}

type forward struct {
	listener net.Listener
	name     string
}

const (
	dialTimeout = 5 * time.Second
	loopback    = "127.0.0.1"
)

// Run watches services until the context ends; changed is told of every new set
// of URLs, by NAMESPACE/NAME, or NAMESPACE/NAME:PORT for further ports.
func Run(ctx context.Context, client kubernetes.Interface, listen Listen, changed func(map[string]string)) error {
	p := &Publisher{client: client, listen: listen, changed: changed, open: map[key]*forward{}}
	factory := informers.NewSharedInformerFactory(client, 0)
	services := factory.Core().V1().Services()
	wake := make(chan struct{}, 1)
	notify := func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
	if _, err := services.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { notify() },
		UpdateFunc: func(any, any) { notify() },
		DeleteFunc: func(any) { notify() },
	}); err != nil {
		return fmt.Errorf("watch services: %w", err)
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	retry := time.NewTicker(30 * time.Second)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			p.closeAll()
			return nil
		case <-wake:
		case <-retry.C:
		}
		all, err := services.Lister().List(labels.Everything())
		if err != nil {
			return fmt.Errorf("list services: %w", err)
		}
		p.reconcile(ctx, all)
	}
}

func (p *Publisher) reconcile(ctx context.Context, services []*corev1.Service) {
	p.mu.Lock()
	defer p.mu.Unlock()
	published := slices.DeleteFunc(slices.Clone(services), func(s *corev1.Service) bool {
		return s.Spec.Type != corev1.ServiceTypeLoadBalancer || s.Spec.ClusterIP == "" || s.DeletionTimestamp != nil
	})
	// First: a service that was made anew wants the port that the old one has.
	p.closeOthers(published)
	urls := map[string]string{}
	for _, s := range published {
		ports := p.publishService(ctx, s, urls)
		if err := p.writeStatus(ctx, s, ports); err != nil && ctx.Err() == nil {
			klog.ErrorS(err, "Could not write the address of a published service", "service", s.Namespace+"/"+s.Name)
		}
	}
	p.changed(urls)
}

// closeOthers closes what is open for none of the services.
func (p *Publisher) closeOthers(services []*corev1.Service) {
	wanted := map[key]bool{}
	for _, s := range services {
		for _, port := range s.Spec.Ports {
			wanted[keyOf(s, port)] = true
		}
	}
	for k, f := range p.open {
		if !wanted[k] {
			_ = f.listener.Close()
			delete(p.open, k)
		}
	}
}

func keyOf(s *corev1.Service, port corev1.ServicePort) key {
	return key{
		service: s.Namespace + "/" + s.Name, port: port.Port,
		target: net.JoinHostPort(s.Spec.ClusterIP, strconv.Itoa(int(port.Port))),
	}
}

// publishService opens what is missing and returns the status of each port.
func (p *Publisher) publishService(ctx context.Context, s *corev1.Service, urls map[string]string) []corev1.PortStatus {
	name := s.Namespace + "/" + s.Name
	var statuses []corev1.PortStatus
	for i, port := range s.Spec.Ports {
		status := corev1.PortStatus{Port: port.Port, Protocol: port.Protocol}
		if port.Protocol != corev1.ProtocolTCP && port.Protocol != "" {
			reason := "tatami.dev/OnlyTCP"
			status.Error = &reason
			statuses = append(statuses, status)
			continue
		}
		f, err := p.ensure(ctx, keyOf(s, port))
		if err != nil {
			klog.ErrorS(err, "Could not publish a service", "service", name)
			reason := "tatami.dev/NoFreePort"
			status.Error = &reason
			statuses = append(statuses, status)
			continue
		}
		f.name = name
		if i > 0 {
			f.name += ":" + strconv.Itoa(int(port.Port))
		}
		urls[f.name] = scheme(port) + "://" + f.listener.Addr().String()
		if tcp, ok := f.listener.Addr().(*net.TCPAddr); ok {
			status.Port = int32(tcp.Port)
		}
		statuses = append(statuses, status)
	}
	return statuses
}

func (p *Publisher) ensure(ctx context.Context, k key) (*forward, error) {
	if f, ok := p.open[k]; ok {
		return f, nil
	}
	l, err := p.listen(ctx, net.JoinHostPort(loopback, strconv.Itoa(int(k.port))))
	if err != nil {
		// Taken by another program, or by another cluster: any port will do.
		if l, err = p.listen(ctx, net.JoinHostPort(loopback, "0")); err != nil {
			return nil, err
		}
	}
	f := &forward{listener: l}
	p.open[k] = f
	go relay.Accept(l, func(c net.Conn) { forwardConn(ctx, c, k.target) })
	return f, nil
}

func (p *Publisher) closeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, f := range p.open {
		_ = f.listener.Close()
		delete(p.open, k)
	}
}

func scheme(port corev1.ServicePort) string {
	if port.Name == "https" || port.Port == 443 {
		return "https"
	}
	if port.AppProtocol == nil {
		return "http"
	}
	name := *port.AppProtocol
	if _, after, ok := strings.Cut(name, "/"); ok {
		name = after
	}
	if name == "h2c" {
		return "http"
	}
	return name
}

func (p *Publisher) writeStatus(ctx context.Context, s *corev1.Service, ports []corev1.PortStatus) error {
	ingress := corev1.LoadBalancerIngress{IP: loopback, Ports: ports}
	if len(s.Status.LoadBalancer.Ingress) == 1 && sameIngress(s.Status.LoadBalancer.Ingress[0], ingress) {
		return nil
	}
	c := s.DeepCopy()
	c.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{ingress}
	_, err := p.client.CoreV1().Services(s.Namespace).UpdateStatus(ctx, c, metav1.UpdateOptions{})
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil // the watch brings the newer version
	}
	return err
}

func sameIngress(a, b corev1.LoadBalancerIngress) bool {
	if a.IP != b.IP || len(a.Ports) != len(b.Ports) {
		return false
	}
	for i := range a.Ports {
		if a.Ports[i].Port != b.Ports[i].Port || (a.Ports[i].Error == nil) != (b.Ports[i].Error == nil) {
			return false
		}
	}
	return true
}

func forwardConn(ctx context.Context, client net.Conn, target string) {
	d := net.Dialer{Timeout: dialTimeout}
	server, err := d.DialContext(ctx, "tcp", target)
	if err != nil {
		_ = client.Close()
		return
	}
	relay.Both(ctx, client, server)
}
