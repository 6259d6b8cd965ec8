package service

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// checkTimeout is below the timeout of the probes that ask.
const checkTimeout = 800 * time.Millisecond

// Check is one thing that a role needs to do its work.
type Check struct {
	Name string
	Run  func(ctx context.Context) error
}

// readiness answers /readyz: "ok", or what is wrong, by the name of the check.
type readiness struct {
	Ready    bool              `json:"ready"`
	Draining bool              `json:"draining"`
	Checks   map[string]string `json:"checks"`
}

func (p *Process) admin() Component {
	mux := http.NewServeMux()
	// Alive means: able to answer. A dependency that is away is no reason to
	// restart this process.
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok\n")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		state := p.ready(r.Context())
		w.Header().Set("Content-Type", "application/json")
		if !state.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(state) // A prober that has gone away is no error.
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(p.Registry, promhttp.HandlerOpts{}))
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 2 * time.Second, ReadTimeout: 5 * time.Second,
		WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute,
	}
	return Component{
		Name:  "admin",
		Serve: func(context.Context) error { return notClosed(server.Serve(p.Admin)) },
		Stop:  func(context.Context) error { return server.Close() },
	}
}

// ready runs all checks at the same time.
func (p *Process) ready(ctx context.Context) readiness {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	results := make([]error, len(p.Checks))
	var checks sync.WaitGroup
	for i, check := range p.Checks {
		checks.Go(func() { results[i] = check.Run(ctx) })
	}
	checks.Wait()
	draining := p.draining.Load()
	state := readiness{Ready: !draining, Draining: draining, Checks: map[string]string{}}
	for i, check := range p.Checks {
		state.Checks[check.Name] = "ok"
		if err := results[i]; err != nil {
			state.Ready = false
			state.Checks[check.Name] = err.Error()
		}
	}
	return state
}
