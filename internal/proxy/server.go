package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/exchange"
	"github.com/tatami-platform/tatami/internal/proxy/health"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry"
	"github.com/tatami-platform/tatami/internal/proxy/tlsconn"
)

// Options are what does not change while the proxy runs. Zero means the default
// in brackets.
type Options struct {
	// Loops is the number of event loops (GOMAXPROCS).
	Loops int
	// Kind is how they do their input and output (native).
	Kind evloop.Kind
	// Name, Service and Zone say who and where this proxy is; a configuration may
	// say it as well.
	Name, Service, Zone string
	// Version is that of the program.
	Version string
	// Log gets the access log; nil: none. Diagnostics gets what an operator should
	// know about the proxy itself, a line each; nil: nobody.
	Log         io.Writer
	Diagnostics func(format string, args ...any)
	// Inherited are listening sockets that another process handed over, by address.
	Inherited map[string]net.Listener
}

// Server is the data plane: event loops, listeners, and the configuration that
// they serve from.
type Server struct {
	options Options
	group   *evloop.Group
	workers []*exchange.Worker
	tele    *telemetry.Telemetry
	checker *health.Checker
	hand    *tlsconn.Handshaker
	ended   func() // ends the checker and waits for it

	mu      sync.Mutex
	state   *state
	sockets map[string]*socket

	// conns are all connections of clients, those of removed listeners included.
	conns    atomic.Int64
	ready    atomic.Bool
	draining atomic.Bool
	retiring atomic.Bool
}

// ErrDraining is returned by Apply when the proxy is going away.
var ErrDraining = errors.New("the proxy is draining and takes no configuration")

// New makes a server and starts its loops. It serves nothing before Apply.
func New(o Options) (*Server, error) {
	if o.Loops == 0 {
		o.Loops = runtime.GOMAXPROCS(0)
	}
	if o.Diagnostics == nil {
		o.Diagnostics = func(string, ...any) {}
	}
	group, err := evloop.NewGroup(o.Loops, o.Kind)
	if err != nil {
		return nil, fmt.Errorf("event loops: %w", err)
	}
	s := &Server{
		options: o, group: group, sockets: map[string]*socket{}, state: emptyState(),
		hand: tlsconn.NewHandshaker(0, 0),
		tele: telemetry.New(telemetry.Options{
			Service: o.Service, Zone: o.Zone, Name: o.Name, Version: o.Version, Start: time.Now(), Log: o.Log,
		}),
	}
	s.checker = health.New(health.Options{Report: s.reportHealth, TLS: s.healthTLS, UserAgent: "tatami-proxy/" + o.Version})
	ctx, cancel := context.WithCancel(context.Background())
	checked := make(chan struct{})
	go func() {
		defer close(checked)
		s.checker.Run(ctx)
	}()
	s.ended = func() {
		cancel()
		<-checked
	}
	for _, l := range group.Loops() {
		w := exchange.NewWorker(l, s.tele.Shard(), s.hand)
		s.workers = append(s.workers, w)
		l.Call(w.Start)
	}
	return s, nil
}

// Ready says whether the proxy serves and is not going away.
func (s *Server) Ready() bool { return s.ready.Load() && !s.draining.Load() && !s.retiring.Load() }

// Config is what is served from now; nil before the first Apply.
func (s *Server) Config() *connect.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.snapshot.Config
}

// Telemetry gives metrics to the admin endpoint.
func (s *Server) Telemetry() *telemetry.Telemetry { return s.tele }

// Addr is the address at which a configured address is really listened on, which
// differs for port 0; nil when it is not.
func (s *Server) Addr(configured string) net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sock := s.sockets[configured]; sock != nil {
		return sock.ln.Addr()
	}
	return nil
}

// Retire announces the end and goes on serving: the proxy is not ready any more,
// all connections are told to end, and so is each new one with its first exchange.
// It is what a preStop hook asks a sidecar for, which has to serve its workload
// until that has ended: clients leave before anything is refused.
func (s *Server) Retire() {
	s.retiring.Store(true)
	s.onLoops((*exchange.Worker).Retire)
}

// Drain stops accepting, announces the end on all connections, and waits until
// the last one is gone or ctx is over; then it cuts what is left. It returns how
// many connections it cut.
func (s *Server) Drain(ctx context.Context) int {
	s.stopAccepting()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		// Each time: connections that were accepted before, and those that become
		// what can be drained only after a handshake, come later.
		s.drainConns(func(string) bool { return true })
		n := int(s.conns.Load())
		if n == 0 {
			return 0
		}
		select {
		case <-ctx.Done():
			s.onLoops((*exchange.Worker).CloseAll)
			return n
		case <-tick.C:
		}
	}
}

// stopAccepting closes the listening sockets; what the kernel has accepted by then
// is served.
func (s *Server) stopAccepting() {
	s.draining.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sock := range s.sockets {
		sock.close()
	}
}

// drainConns announces the end on connections to the addresses that which names.
func (s *Server) drainConns(which func(address string) bool) {
	s.onLoops(func(w *exchange.Worker) { w.Drain(which) })
}

// onLoops calls f with each worker on its loop, one after the other.
func (s *Server) onLoops(f func(w *exchange.Worker)) {
	for i, l := range s.group.Loops() {
		w := s.workers[i]
		l.Call(func() { f(w) })
	}
}

// Close ends everything at once; call Drain before to end it well.
func (s *Server) Close() error {
	s.stopAccepting()
	s.ended()
	s.onLoops((*exchange.Worker).CloseAll)
	err := s.group.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return errors.Join(err, s.tele.Close(ctx))
}
