package stream_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/tatami-platform/tatami/internal/core/connect"
	pb "github.com/tatami-platform/tatami/internal/proxy/config/configpb"
	"github.com/tatami-platform/tatami/internal/proxy/config/configtest"
	"github.com/tatami-platform/tatami/internal/proxy/config/stream"
)

// proxy records what it is told.
type proxy struct {
	mu      sync.Mutex
	configs []*connect.Config
	errs    []error
	refuse  error
}

func (p *proxy) apply(c *connect.Config) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse != nil {
		return p.refuse
	}
	p.configs = append(p.configs, c)
	return nil
}

func (p *proxy) report(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.errs = append(p.errs, err)
}

func (p *proxy) last() *connect.Config {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.configs) == 0 {
		return nil
	}
	return p.configs[len(p.configs)-1]
}

func (p *proxy) applied() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.configs)
}

// told says whether an error with the text was reported.
func (p *proxy) told(text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.errs, func(err error) bool { return strings.Contains(err.Error(), text) })
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for !f() {
		if time.Now().After(deadline) {
			t.Fatalf("not seen: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func server(t *testing.T) *configtest.Server {
	t.Helper()
	s, err := configtest.Listen("tcp", "127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func options(target string, p *proxy) stream.Options {
	return stream.Options{
		Target: target, Node: connect.Node{Name: "p1", Zone: "a"}, Heartbeat: 2 * time.Second,
		MinBackoff: 5 * time.Millisecond, MaxBackoff: 50 * time.Millisecond, Interval: 5 * time.Millisecond, Report: p.report,
	}
}

// run starts a proxy that the test's end stops.
func run(t *testing.T, o stream.Options, p *proxy) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- stream.Run(ctx, o, p.apply) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func start(t *testing.T) (*configtest.Server, *proxy) {
	t.Helper()
	s, p := server(t), &proxy{}
	run(t, options(s.Target(), p), p)
	return s, p
}

func cluster(name, address string) *pb.Cluster {
	return &pb.Cluster{Name: name, Endpoints: []*pb.Endpoint{{Address: address}}}
}

func acked(t *testing.T, s *configtest.Server, version string) configtest.Answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	a, err := s.WaitAck(ctx, version)
	if err != nil {
		t.Fatal(err, s.Answers())
	}
	return a
}

func nacked(t *testing.T, s *configtest.Server, version string) configtest.Answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	a, err := s.WaitNack(ctx, version)
	if err != nil {
		t.Fatal(err, s.Answers())
	}
	return a
}

func TestSnapshotThenDeltas(t *testing.T) {
	s, p := start(t)
	v := s.Set(cluster("a", "127.0.0.1:1"), cluster("b", "127.0.0.1:2"), &pb.Node{AccessLog: &pb.AccessLog{Mode: pb.AccessLog_ALL}})
	if a := acked(t, s, v); a.Delta || a.Node != "p1" || a.Resources != 2 {
		t.Errorf("the first is %+v, want a snapshot of 2", a)
	}
	first := p.last()
	if first.Version != v || first.Node != (connect.Node{Name: "p1", Zone: "a", AccessLog: connect.AccessLog{Mode: connect.LogAll}}) {
		t.Errorf("got %+v", first)
	}
	v = s.Set(cluster("b", "127.0.0.1:3"))
	if a := acked(t, s, v); !a.Delta || a.Resources != 1 {
		t.Errorf("the second is %+v, want a delta of 1", a)
	}
	second := p.last()
	if second.Clusters[0] != first.Clusters[0] || second.Clusters[1].Endpoints[0].Address != "127.0.0.1:3" {
		t.Error("the delta did not change one cluster alone")
	}
	v = s.Delete(pb.ResourceName_CLUSTER, "a")
	acked(t, s, v)
	if c := p.last(); len(c.Clusters) != 1 || c.Clusters[0] != second.Clusters[1] {
		t.Errorf("got %v", c.Clusters)
	}
}

func TestRefusalIsBasedOnTheLastGoodVersion(t *testing.T) {
	s, p := start(t)
	good := s.Set(cluster("a", "127.0.0.1:1"))
	acked(t, s, good)
	bad := s.Set(cluster("b", "nowhere"), &pb.Route{Name: "r", Rules: []*pb.Rule{{Backends: []*pb.Backend{{Cluster: "x"}}}}})
	a := nacked(t, s, bad)
	if len(a.Reasons) != 2 || !strings.Contains(strings.Join(a.Reasons, "\n"), `endpoints[0].address: "nowhere" is no address`) {
		t.Errorf("reasons %q", a.Reasons)
	}
	if p.last().Version != good {
		t.Errorf("version %s is in use, want %s", p.last().Version, good)
	}
	s.Delete(pb.ResourceName_ROUTE, "r")
	better := s.Set(cluster("b", "127.0.0.1:2"))
	if a := acked(t, s, better); !a.Delta || a.Resources != 1 {
		t.Errorf("the next is %+v, want a delta of 1 from the last good version", a)
	}
	if len(p.last().Clusters) != 2 {
		t.Errorf("got %v", p.last().Clusters)
	}

	p.mu.Lock()
	p.refuse = errors.New("the address is in use")
	p.mu.Unlock()
	bad = s.Set(cluster("c", "127.0.0.1:3"))
	if a := nacked(t, s, bad); !strings.Contains(a.Reasons[0], "the address is in use") {
		t.Errorf("reasons %q", a.Reasons)
	}
}

// TestReasonsAreBounded holds that a broken generator gets at most 50 reasons.
func TestReasonsAreBounded(t *testing.T) {
	s, _ := start(t)
	all := &pb.Resources{}
	for i := range 200 {
		all.Clusters = append(all.Clusters, cluster(fmt.Sprint(i), "nowhere"))
	}
	a := nacked(t, s, s.Set(all))
	if len(a.Reasons) != 50 || a.Reasons[49] != "and 151 more problems" {
		t.Errorf("%d reasons, the last %q", len(a.Reasons), a.Reasons[len(a.Reasons)-1])
	}
}

func TestResume(t *testing.T) {
	s, p := start(t)
	v := s.Set(cluster("a", "127.0.0.1:1"), cluster("b", "127.0.0.1:1"))
	acked(t, s, v)
	first := p.last()
	s.Drop()
	eventually(t, "a second stream", func() bool { return len(s.Subscribed()) == 2 })
	if got := s.Subscribed()[1]; got != v {
		t.Errorf("it came back with version %q, want %q", got, v)
	}
	v = s.Set(cluster("b", "127.0.0.1:2"))
	if a := acked(t, s, v); !a.Delta || a.Resources != 1 {
		t.Errorf("after the loss came %+v, want a delta of 1", a)
	}
	if n := len(s.Answers()); n != 2 {
		t.Errorf("%d answers, want 2: what did not change was sent again", n)
	}
	if p.last().Clusters[0] != first.Clusters[0] {
		t.Error("an unchanged cluster has another pointer")
	}

	// A server that forgot the version sends everything; pointers stay.
	second := p.last()
	s.Set(cluster("c", "127.0.0.1:3"))
	s.Drop()
	s.Forget()
	eventually(t, "a third version", func() bool { return p.last() != second })
	if c := p.last().Clusters; len(c) != 3 || c[0] != second.Clusters[0] || c[1] != second.Clusters[1] {
		t.Error("unchanged clusters have other pointers after a snapshot")
	}
}

// TestControlPlaneDies holds that the configuration stays and a new control plane
// at the same place is found.
func TestControlPlaneDies(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	listen := func() *configtest.Server {
		s, err := configtest.Listen("unix", path, nil)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s, p := listen(), &proxy{}
	run(t, options(s.Target(), p), p)
	acked(t, s, s.Set(cluster("a", "127.0.0.1:1")))
	s.Close()
	eventually(t, "several attempts", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.errs) > 3
	})
	if p.applied() != 1 || len(p.last().Clusters) != 1 {
		t.Error("the configuration did not stay")
	}
	if !p.told("the configuration in use stays") {
		t.Errorf("reported: %v", p.errs)
	}
	s = listen()
	t.Cleanup(s.Close)
	acked(t, s, s.Set(cluster("b", "127.0.0.1:1")))
	eventually(t, "the new configuration", func() bool { return p.last().Clusters[0].Name == "b" })
}

func TestSilentServerIsLeft(t *testing.T) {
	s, p := server(t), &proxy{}
	o := options(s.Target(), p)
	o.Heartbeat = 200 * time.Millisecond
	run(t, o, p)
	acked(t, s, s.Set(cluster("a", "127.0.0.1:1")))
	time.Sleep(time.Second) // Longer than three heartbeats: they keep the stream.
	if n := len(s.Subscribed()); n != 1 {
		t.Fatalf("%d streams while the server answered, want 1", n)
	}
	s.Silence(true)
	eventually(t, "another stream", func() bool { return len(s.Subscribed()) > 1 })
	if !p.told("nothing was heard for") {
		t.Errorf("reported: %v", p.errs)
	}
	s.Silence(false)
	acked(t, s, s.Set(cluster("b", "127.0.0.1:1")))
}

func TestMisbehaviour(t *testing.T) {
	snapshot := func(version, nonce string, r *pb.Resources) *pb.ControlMessage {
		return &pb.ControlMessage{Message: &pb.ControlMessage_Snapshot{Snapshot: &pb.Snapshot{Version: version, Nonce: nonce, Resources: r}}}
	}
	delta := func(from, to, nonce string) *pb.ControlMessage {
		return &pb.ControlMessage{Message: &pb.ControlMessage_Delta{Delta: &pb.Delta{FromVersion: from, ToVersion: to, Nonce: nonce}}}
	}
	for name, x := range map[string]struct {
		do   func(*configtest.Server)
		told string
		nack string // the version that is refused; empty: the stream ends
	}{
		"no nonce":        {func(s *configtest.Server) { s.Inject(snapshot("x", "", nil)) }, "has no nonce", "x"},
		"no version":      {func(s *configtest.Server) { s.Inject(snapshot("", "z", nil)) }, "has no version", ""},
		"nonce again":     {func(s *configtest.Server) { s.Inject(snapshot("x", "n1", nil)) }, "that of the message before", "x"},
		"another base":    {func(s *configtest.Server) { s.Inject(delta("7", "8", "z")) }, `from version "7" but "`, "8"},
		"garbage":         {func(s *configtest.Server) { s.InjectBytes([]byte{0xff, 0xff, 0xff}) }, "unmarshal", ""},
		"an empty kind":   {func(s *configtest.Server) { s.Inject(&pb.ControlMessage{}) }, "a kind that is not known", ""},
		"a huge message":  {func(s *configtest.Server) { s.InjectHuge(65 << 20) }, "received message larger than max", ""},
		"a resource of 0": {func(s *configtest.Server) { s.Inject(snapshot("x", "z", &pb.Resources{Routes: []*pb.Route{{}}})) }, "a name is required", "x"},
	} {
		t.Run(name, func(t *testing.T) {
			s, p := start(t)
			good := s.Set(cluster("a", "127.0.0.1:1"))
			acked(t, s, good)
			x.do(s)
			eventually(t, x.told, func() bool { return p.told(x.told) })
			if x.nack != "" {
				nacked(t, s, x.nack)
			}
			if p.applied() != 1 || p.last().Version != good {
				t.Errorf("it was applied: %+v", p.last())
			}
			acked(t, s, s.Set(cluster("b", "127.0.0.1:1")))
		})
	}
}

func TestPlainTextStaysHere(t *testing.T) {
	for target, plain := range map[string]bool{
		"127.0.0.1:1": true, "[::1]:1": true, "localhost:1": true, "unix:/run/c.sock": true,
		"10.0.0.1:1": false, "control:1": false, "localhost.example:1": false, "dns:///localhost:1": false, "": false,
	} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := stream.Run(ctx, stream.Options{Target: target}, func(*connect.Config) error { return nil })
		if (err == nil) != plain {
			t.Errorf("%q: %v, want plain text allowed: %v", target, err, plain)
		}
	}
}

func TestMutualTLS(t *testing.T) {
	certificate, pool := authority(t)
	s, err := configtest.Listen("tcp", "127.0.0.1:0", credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{certificate}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13,
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	stranger := &proxy{}
	o := options(s.Target(), stranger)
	o.TLS = &tls.Config{RootCAs: pool, ServerName: "control.example", MinVersion: tls.VersionTLS13}
	run(t, o, stranger)
	eventually(t, "a refusal", func() bool {
		return stranger.told("certificate required") || stranger.told("broken pipe") || stranger.told("reset")
	})

	friend := &proxy{}
	o = options(s.Target(), friend)
	o.TLS = &tls.Config{RootCAs: pool, ServerName: "control.example", Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS13}
	run(t, o, friend)
	acked(t, s, s.Set(cluster("a", "127.0.0.1:1")))
	if stranger.last() != nil || friend.last() == nil {
		t.Error("the wrong proxy got the configuration")
	}
}

// TestNothingIsLeft counts goroutines after many streams.
func TestNothingIsLeft(t *testing.T) {
	s := server(t)
	s.Set(cluster("a", "127.0.0.1:1"))
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	p := &proxy{}
	go func() { done <- stream.Run(ctx, options(s.Target(), p), p.apply) }()
	for i := range 20 {
		eventually(t, "a stream", func() bool { return len(s.Subscribed()) > i })
		s.Drop()
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	eventually(t, "the end of all goroutines", func() bool { return runtime.NumGoroutine() <= before+1 })
}

// TestNobodyListens holds that the first attempt may fail.
func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	p := &proxy{}
	run(t, options(address, p), p)
	eventually(t, "a refused connection", func() bool { return p.told("connection refused") })
}
