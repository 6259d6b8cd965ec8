package publish

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
)

// clusterIP is where the backends of the tests listen: an address of loopback
// on which the publisher itself never listens.
const clusterIP = "127.0.0.2"

const patience = 10 * time.Second

func listen(ctx context.Context, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	return lc.Listen(ctx, "tcp4", addr)
}

// backend answers with its name and the whole request, after the request's end.
func backend(t *testing.T, name string) int32 {
	t.Helper()
	l, err := net.Listen("tcp4", clusterIP+":0")
	if err != nil {
		t.Skip("loopback has one address only:", err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				raw, _ := io.ReadAll(c)
				_, _ = io.WriteString(c, name+":"+string(raw))
			}()
		}
	}()
	return port(l)
}

func port(l net.Listener) int32 { return int32(l.Addr().(*net.TCPAddr).Port) }

func service(name string, ports ...corev1.ServicePort) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ClusterIP: clusterIP, Ports: ports},
	}
}

func tcp(p int32) corev1.ServicePort {
	return corev1.ServicePort{Port: p, Protocol: corev1.ProtocolTCP}
}

// running is a publisher and what it told last.
type running struct {
	client kubernetes.Interface
	told   chan map[string]string
	stop   func()
}

func run(t *testing.T, listen Listen, objects ...*corev1.Service) *running {
	t.Helper()
	client := fake.NewClientset()
	for _, o := range objects {
		if _, err := client.CoreV1().Services(o.Namespace).Create(t.Context(), o, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{client: client, told: make(chan map[string]string, 100)}
	done := make(chan error, 1)
	go func() { done <- Run(ctx, client, listen, func(urls map[string]string) { r.told <- maps.Clone(urls) }) }()
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Error("it does not end")
		}
	}
	t.Cleanup(r.stop)
	return r
}

// wait returns when the published URLs are the wanted ones.
func (r *running) wait(t *testing.T, ok func(urls map[string]string) bool) map[string]string {
	t.Helper()
	var last map[string]string
	deadline := time.After(patience)
	for {
		select {
		case last = <-r.told:
			if ok(last) {
				return last
			}
		case <-deadline:
			t.Fatalf("published at last: %v", last)
		}
	}
}

func only(want map[string]string) func(map[string]string) bool {
	return func(got map[string]string) bool { return maps.Equal(got, want) }
}

func url(p int32) string { return "http://127.0.0.1:" + strconv.Itoa(int(p)) }

// status waits for the address that the publisher writes.
func (r *running) status(t *testing.T, name string) corev1.LoadBalancerIngress {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		s, err := r.client.CoreV1().Services("shop").Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if in := s.Status.LoadBalancer.Ingress; len(in) == 1 {
			return in[0]
		}
	}
	t.Fatalf("service %s got no address", name)
	return corev1.LoadBalancerIngress{}
}

// ask sends a request, ends it by a half-close, and reads the answer.
func ask(t *testing.T, addr, request string) string {
	t.Helper()
	c, err := net.DialTimeout("tcp4", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

func refused(t *testing.T, p int32) {
	t.Helper()
	c, err := net.DialTimeout("tcp4", net.JoinHostPort(loopback, strconv.Itoa(int(p))), patience)
	if err == nil {
		_ = c.Close()
		t.Errorf("port %d is still open", p)
	}
}

func TestServiceIsPublishedUntilItIsDeleted(t *testing.T) {
	p := backend(t, "web")
	inside := service("inside", tcp(p))
	inside.Spec.Type = corev1.ServiceTypeClusterIP
	pending := service("pending", tcp(p))
	pending.Spec.ClusterIP = ""
	r := run(t, listen, inside, pending)
	r.wait(t, only(map[string]string{}))

	if _, err := r.client.CoreV1().Services("shop").Create(t.Context(), service("web", tcp(p)), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	r.wait(t, only(map[string]string{"shop/web": url(p)}))
	if got := ask(t, net.JoinHostPort(loopback, strconv.Itoa(int(p))), "hello"); got != "web:hello" {
		t.Errorf("answer %q", got)
	}
	in := r.status(t, "web")
	if in.IP != loopback || len(in.Ports) != 1 || in.Ports[0].Port != p || in.Ports[0].Error != nil {
		t.Errorf("status %+v", in)
	}

	if err := r.client.CoreV1().Services("shop").Delete(t.Context(), "web", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	r.wait(t, only(map[string]string{}))
	refused(t, p)
}

func TestTheEndClosesEverything(t *testing.T) {
	p := backend(t, "web")
	r := run(t, listen, service("web", tcp(p)))
	r.wait(t, only(map[string]string{"shop/web": url(p)}))
	c, err := net.Dial("tcp4", net.JoinHostPort(loopback, strconv.Itoa(int(p))))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r.stop()
	refused(t, p)
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an open connection goes on: %v", err)
	}
}

func TestTakenPortGivesAnother(t *testing.T) {
	p := backend(t, "web")
	taken, err := net.Listen("tcp4", net.JoinHostPort(loopback, strconv.Itoa(int(p))))
	if err != nil {
		t.Skip("somebody else has it:", err)
	}
	defer taken.Close()
	r := run(t, listen, service("web", tcp(p)))
	urls := r.wait(t, func(urls map[string]string) bool { return len(urls) == 1 })
	in := r.status(t, "web")
	if in.Ports[0].Port == p || in.Ports[0].Port == 0 || urls["shop/web"] != url(in.Ports[0].Port) {
		t.Errorf("published as %v, status %+v", urls, in)
	}
	if got := ask(t, strings.TrimPrefix(urls["shop/web"], "http://"), "x"); got != "web:x" {
		t.Errorf("answer %q", got)
	}
}

func TestTwoServicesWithOnePort(t *testing.T) {
	p := backend(t, "one")
	r := run(t, listen, service("a", tcp(p)), service("b", tcp(p)))
	urls := r.wait(t, func(urls map[string]string) bool { return len(urls) == 2 })
	if urls["shop/a"] == urls["shop/b"] {
		t.Errorf("both at %s", urls["shop/a"])
	}
	for name, u := range urls {
		if got := ask(t, strings.TrimPrefix(u, "http://"), name); got != "one:"+name {
			t.Errorf("%s answers %q", name, got)
		}
	}
}

func TestPortsThatCannotBePublished(t *testing.T) {
	p := backend(t, "web")
	udp := corev1.ServicePort{Name: "udp", Port: p, Protocol: corev1.ProtocolUDP}
	r := run(t, listen, service("mixed", udp, tcp(p)))
	r.wait(t, only(map[string]string{"shop/mixed:" + strconv.Itoa(int(p)): url(p)}))
	in := r.status(t, "mixed")
	if len(in.Ports) != 2 || in.Ports[0].Error == nil || *in.Ports[0].Error != "tatami.dev/OnlyTCP" || in.Ports[1].Error != nil {
		t.Errorf("status %+v", in)
	}

	none := func(context.Context, string) (net.Listener, error) { return nil, errors.New("no port at all") }
	r = run(t, none, service("web", tcp(p)))
	in = r.status(t, "web")
	if len(in.Ports) != 1 || in.Ports[0].Error == nil || *in.Ports[0].Error != "tatami.dev/NoFreePort" {
		t.Errorf("status %+v", in)
	}
	r.wait(t, only(map[string]string{}))
}

func reconciler() (*Publisher, *fake.Clientset, map[string]string) {
	client, urls := fake.NewClientset(), map[string]string{}
	return &Publisher{client: client, listen: listen, open: map[key]*forward{}, changed: func(now map[string]string) {
		clear(urls)
		maps.Copy(urls, now)
	}}, client, urls
}

// TestServiceMadeAnewKeepsItsPort: the watch may show the deletion and the new
// service as one change.
func TestServiceMadeAnewKeepsItsPort(t *testing.T) {
	p := backend(t, "web")
	pub, _, urls := reconciler()
	t.Cleanup(pub.closeAll)
	old := service("web", tcp(p))
	old.Spec.ClusterIP = "127.0.0.3"
	for _, s := range []*corev1.Service{old, service("web", tcp(p))} {
		pub.reconcile(t.Context(), []*corev1.Service{s})
		if urls["shop/web"] != url(p) {
			t.Fatalf("with cluster IP %s: %v, want port %d", s.Spec.ClusterIP, urls, p)
		}
	}
	if got := ask(t, net.JoinHostPort(loopback, strconv.Itoa(int(p))), "x"); got != "web:x" {
		t.Errorf("answer %q", got)
	}
	if len(pub.open) != 1 {
		t.Errorf("%d listeners are open", len(pub.open))
	}
}

func TestStatusIsWrittenOnce(t *testing.T) {
	p := backend(t, "web")
	pub, client, _ := reconciler()
	t.Cleanup(pub.closeAll)
	s, err := client.CoreV1().Services("shop").Create(t.Context(), service("web", tcp(p)), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	client.ClearActions()
	for range 3 {
		pub.reconcile(t.Context(), []*corev1.Service{s})
		if s, err = client.CoreV1().Services("shop").Get(t.Context(), "web", metav1.GetOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	writes := 0
	for _, a := range client.Actions() {
		if a.GetVerb() == "update" {
			writes++
			if a.GetSubresource() != "status" {
				t.Errorf("wrote %q", a.GetSubresource())
			}
		}
	}
	if writes != 1 {
		t.Errorf("wrote %d times", writes)
	}
}

func TestDeletedServiceIsNoError(t *testing.T) {
	pub, _, urls := reconciler()
	t.Cleanup(pub.closeAll)
	pub.reconcile(t.Context(), []*corev1.Service{service("gone", tcp(backend(t, "x")))})
	if len(urls) != 1 {
		t.Errorf("published %v", urls)
	}
	deleting := service("gone", tcp(1))
	deleting.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
	pub.reconcile(t.Context(), []*corev1.Service{deleting})
	if len(urls) != 0 || len(pub.open) != 0 {
		t.Errorf("published %v, %d open", urls, len(pub.open))
	}
}

func TestScheme(t *testing.T) {
	for _, tt := range []struct {
		port corev1.ServicePort
		want string
	}{
		{corev1.ServicePort{Port: 80}, "http"},
		{corev1.ServicePort{Port: 443}, "https"},
		{corev1.ServicePort{Port: 8443, Name: "https"}, "https"},
		{corev1.ServicePort{Port: 80, AppProtocol: new("http")}, "http"},
		{corev1.ServicePort{Port: 4222, AppProtocol: new("nats")}, "nats"},
		{corev1.ServicePort{Port: 80, AppProtocol: new("kubernetes.io/h2c")}, "http"},
		{corev1.ServicePort{Port: 80, AppProtocol: new("kubernetes.io/wss")}, "wss"},
		{corev1.ServicePort{Port: 80, AppProtocol: new("example.com/redis")}, "redis"},
	} {
		if got := scheme(tt.port); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.port, got, tt.want)
		}
	}
}
