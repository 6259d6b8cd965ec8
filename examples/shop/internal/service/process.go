package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Component is a part of a role that works until it is stopped.
type Component struct {
	Name string
	// Serve returns nil after Stop. Cancelling its context means that the time
	// for finishing work is over.
	Serve func(ctx context.Context) error
	// Drain, if any, asks clients to go elsewhere while they are still served.
	Drain func()
	// Stop takes no new work and lets work in hand end until the context does.
	Stop func(ctx context.Context) error
}

// Process is one role, ready to run. Its fields are set before Run.
type Process struct {
	Log      *slog.Logger
	Registry *prometheus.Registry
	// Admin serves health checks and metrics.
	Admin net.Listener
	// Addr is where the role itself listens; nil for a role that does not.
	Addr net.Addr
	// Checks must hold for the role to be ready.
	Checks []Check
	// Components are stopped in this order.
	Components []Component
	// Closers release what components used, after they have stopped.
	Closers []func()
	// DrainDelay is how long the role is served, but not ready, before it
	// stops: other nodes need a moment to stop sending.
	DrainDelay time.Duration
	// StopTimeout is how long all components together may take to stop.
	StopTimeout time.Duration

	draining atomic.Bool
}

// Run works until the context is cancelled or a component fails, and returns
// when everything has ended. A failed component is an error, and so is work
// that did not end in time.
func (p *Process) Run(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	// Last, so that what happens at the end can still be observed.
	components := append(slices.Clone(p.Components), p.admin())
	ended := make(chan error, len(components))
	for _, c := range components {
		go func() { ended <- named(c.Name, c.Serve(work)) }()
	}
	listening := []any{"admin", p.Admin.Addr().String()}
	if p.Addr != nil {
		listening = append(listening, "addr", p.Addr.String())
	}
	p.Log.InfoContext(ctx, "started", listening...)

	running := len(components)
	var failed error
	select {
	case failed = <-ended:
		if failed == nil {
			failed = errors.New("a component ended by itself")
		}
		running--
	case <-ctx.Done():
		p.Log.InfoContext(ctx, "draining", "seconds", p.DrainDelay.Seconds())
	}
	p.drain(failed == nil)

	stopping, cancelStop := context.WithTimeout(work, p.StopTimeout)
	defer cancelStop()
	err := errors.Join(failed, stop(stopping, components))
	cancel() // What has not ended yet is broken off now.
	for ; running > 0; running-- {
		err = errors.Join(err, <-ended)
	}
	for _, closer := range p.Closers {
		closer()
	}
	p.Log.InfoContext(ctx, "stopped", "clean", err == nil)
	return err
}

// drain makes the role unready and, if it is still able to serve, waits until
// that has been noticed.
func (p *Process) drain(able bool) {
	p.draining.Store(true)
	for _, c := range p.Components {
		if c.Drain != nil {
			c.Drain()
		}
	}
	if able {
		// Not cut short: the context that ends this wait is already over.
		<-time.NewTimer(p.DrainDelay).C
	}
}

func stop(ctx context.Context, components []Component) error {
	var errs []error
	for _, c := range components {
		errs = append(errs, named("stop "+c.Name, c.Stop(ctx)))
	}
	return errors.Join(errs...)
}

// HTTP makes a component of an HTTP server.
func HTTP(server *http.Server, listener net.Listener) Component {
	return Component{
		Name:  "http",
		Serve: func(context.Context) error { return notClosed(server.Serve(listener)) },
		Drain: func() { server.SetKeepAlivesEnabled(false) },
		Stop: func(ctx context.Context) error {
			if err := server.Shutdown(ctx); err != nil {
				return errors.Join(err, server.Close())
			}
			return nil
		},
	}
}

func notClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func named(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", name, err)
}
