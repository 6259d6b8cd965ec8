package configtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	pb "github.com/tatami-platform/tatami/internal/proxy/config/configpb"
)

// key names a resource.
type key struct {
	kind pb.ResourceName_Kind
	name string
}

// state is all resources of one version.
type state map[key]proto.Message

// Answer is an Ack or a Nack.
type Answer struct {
	// Node is the name of the proxy.
	Node string
	// Version is what the message would have led to, Reasons why it did not; none: an Ack.
	Version string
	Reasons []string
	// Delta says that the message was a delta, Resources how many upserts and
	// removals it had.
	Delta     bool
	Resources int
}

// Server is a control plane. All methods may be called at once.
type Server struct {
	pb.UnimplementedConfigServer
	server *grpc.Server
	addr   net.Addr
	// start tells versions of this server from those of another at its address.
	start string

	mu       sync.Mutex
	states   map[string]state // by version
	version  int              // the newest, 0: none
	node     *pb.Node
	streams  map[*conn]struct{}
	answers  []Answer
	versions []string      // that proxies subscribed with
	changed  chan struct{} // closed and replaced when anything changes
	silent   bool
}

// Listen starts a server; network is tcp or unix. creds may be nil for plain text.
func Listen(network, address string, creds credentials.TransportCredentials) (*Server, error) {
	l, err := net.Listen(network, address) //nolint:noctx // a listener that a test closes
	if err != nil {
		return nil, fmt.Errorf("control plane for tests: %w", err)
	}
	if creds == nil {
		creds = insecure.NewCredentials()
	}
	s := &Server{
		addr:    l.Addr(),
		start:   strconv.FormatInt(time.Now().UnixNano(), 36),
		states:  map[string]state{"": {}},
		streams: map[*conn]struct{}{},
		changed: make(chan struct{}),
		server:  grpc.NewServer(grpc.Creds(creds), grpc.ForceServerCodecV2(codec{}), grpc.MaxSendMsgSize(1<<30)),
	}
	pb.RegisterConfigServer(s.server, s)
	go s.server.Serve(l) //nolint:errcheck // Close ends it
	return s, nil
}

// Target is the address as stream.Options want it.
func (s *Server) Target() string {
	if s.addr.Network() == "unix" {
		return "unix:" + s.addr.String()
	}
	return s.addr.String()
}

// Close ends all streams and the server.
func (s *Server) Close() { s.server.Stop() }

// Set adds or replaces resources and returns the version that has them. A *pb.Node
// and all of *pb.Resources are taken as well.
func (s *Server) Set(resources ...proto.Message) string {
	return s.update(func(next state) {
		for _, r := range resources {
			s.put(next, r)
		}
	})
}

// Delete removes resources and returns the version that lacks them.
func (s *Server) Delete(kind pb.ResourceName_Kind, names ...string) string {
	return s.update(func(next state) {
		for _, name := range names {
			delete(next, key{kind, name})
		}
	})
}

// Forget makes the server know no version but the newest, as after a restart.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.newest()
	s.states = map[string]state{"": {}, v: s.states[v]}
}

// newest is the newest version, empty before the first. The lock is held.
func (s *Server) newest() string {
	if s.version == 0 {
		return ""
	}
	return s.start + "-" + strconv.Itoa(s.version)
}

func (s *Server) update(f func(state)) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := maps.Clone(s.states[s.newest()])
	f(next)
	s.version++
	v := s.newest()
	s.states[v] = next
	s.notify()
	return v
}

func (s *Server) put(to state, r proto.Message) {
	switch r := r.(type) {
	case *pb.Node:
		s.node = r
	case *pb.Listener:
		to[key{pb.ResourceName_LISTENER, r.GetName()}] = r
	case *pb.Route:
		to[key{pb.ResourceName_ROUTE, r.GetName()}] = r
	case *pb.StreamRoute:
		to[key{pb.ResourceName_STREAM_ROUTE, r.GetName()}] = r
	case *pb.Cluster:
		to[key{pb.ResourceName_CLUSTER, r.GetName()}] = r
	case *pb.Certificate:
		to[key{pb.ResourceName_CERTIFICATE, r.GetName()}] = r
	case *pb.TrustBundle:
		to[key{pb.ResourceName_TRUST_BUNDLE, r.GetName()}] = r
	case *pb.Resources:
		s.putAll(to, r)
	default:
		panic(fmt.Sprintf("configtest: %T is no resource", r))
	}
}

func (s *Server) putAll(to state, r *pb.Resources) {
	if r.GetNode() != nil {
		s.node = r.GetNode()
	}
	putList(s, to, r.GetListeners())
	putList(s, to, r.GetRoutes())
	putList(s, to, r.GetStreamRoutes())
	putList(s, to, r.GetClusters())
	putList(s, to, r.GetCertificates())
	putList(s, to, r.GetTrustBundles())
}

func putList[M proto.Message](s *Server, to state, list []M) {
	for _, m := range list {
		s.put(to, m)
	}
}

// collect is the inverse of put.
func collect(resources []proto.Message) *pb.Resources {
	out := &pb.Resources{}
	for _, r := range resources {
		switch r := r.(type) {
		case *pb.Listener:
			out.Listeners = append(out.Listeners, r)
		case *pb.Route:
			out.Routes = append(out.Routes, r)
		case *pb.StreamRoute:
			out.StreamRoutes = append(out.StreamRoutes, r)
		case *pb.Cluster:
			out.Clusters = append(out.Clusters, r)
		case *pb.Certificate:
			out.Certificates = append(out.Certificates, r)
		case *pb.TrustBundle:
			out.TrustBundles = append(out.TrustBundles, r)
		}
	}
	return out
}

// notify wakes all who wait; the lock is held.
func (s *Server) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Answers are all Acks and Nacks so far, in the order of arrival.
func (s *Server) Answers() []Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.answers)
}

// Subscribed are the versions that proxies came with, in the order of arrival.
func (s *Server) Subscribed() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.versions)
}

// WaitAck waits until a proxy acknowledged the version.
func (s *Server) WaitAck(ctx context.Context, version string) (Answer, error) {
	return s.wait(ctx, "acknowledged version "+version, func(a Answer) bool { return a.Version == version && len(a.Reasons) == 0 })
}

// WaitNack waits until a proxy refused the version.
func (s *Server) WaitNack(ctx context.Context, version string) (Answer, error) {
	return s.wait(ctx, "refused version "+version, func(a Answer) bool { return a.Version == version && len(a.Reasons) > 0 })
}

// wait looks for the newest answer that fits.
func (s *Server) wait(ctx context.Context, what string, fits func(Answer) bool) (Answer, error) {
	for {
		s.mu.Lock()
		changed, answers := s.changed, slices.Clone(s.answers)
		s.mu.Unlock()
		slices.Reverse(answers)
		if i := slices.IndexFunc(answers, fits); i >= 0 {
			return answers[i], nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Answer{}, fmt.Errorf("no proxy %s: %w", what, ctx.Err())
		}
	}
}

// WaitStreams waits until so many proxies are connected.
func (s *Server) WaitStreams(ctx context.Context, n int) error {
	for {
		s.mu.Lock()
		changed, have := s.changed, len(s.streams)
		s.mu.Unlock()
		if have == n {
			return nil
		}
		select {
		case <-changed:
		case <-time.After(time.Second):
		case <-ctx.Done():
			return fmt.Errorf("%d proxies are connected, not %d: %w", have, n, ctx.Err())
		}
	}
}

// Drop ends all streams; proxies come back.
func (s *Server) Drop() {
	s.each(func(c *conn) { c.cancel(errors.New("dropped")) })
}

// Silence stops or starts all sending, heartbeats included, while streams stay open.
func (s *Server) Silence(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent = on
	s.notify()
}

// Inject sends a message to all proxies as it is, whatever they expect. Answers to
// it have the version of the message.
func (s *Server) Inject(m *pb.ControlMessage) {
	s.each(func(c *conn) { c.inject <- m })
}

// InjectBytes sends bytes that need not be a message.
func (s *Server) InjectBytes(data []byte) {
	s.each(func(c *conn) { c.inject <- raw(data) })
}

// InjectHuge sends a snapshot of at least n bytes.
func (s *Server) InjectHuge(n int) {
	s.Inject(&pb.ControlMessage{Message: &pb.ControlMessage_Snapshot{Snapshot: &pb.Snapshot{
		Version: "huge", Nonce: "huge",
		Resources: &pb.Resources{TrustBundles: []*pb.TrustBundle{{Name: "huge", Pem: make([]byte, n)}}},
	}}})
}

func (s *Server) each(f func(*conn)) {
	s.mu.Lock()
	streams := slices.Collect(maps.Keys(s.streams))
	s.mu.Unlock()
	for _, c := range streams {
		f(c)
	}
}
