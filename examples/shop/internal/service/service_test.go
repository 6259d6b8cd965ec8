package service_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tatami-platform/tatami/examples/shop/internal/service"
)

var errBroken = errors.New("broken on purpose")

func newProcess(t *testing.T) *service.Process {
	t.Helper()
	return &service.Process{
		Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Admin: listen(t),
		DrainDelay: 300 * time.Millisecond, StopTimeout: time.Second,
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

// start runs the process and returns how to end it and what it ended with.
func start(t *testing.T, p *service.Process) (end func(), ended chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	ended = make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	return cancel, ended
}

func get(t *testing.T, address net.Addr, path string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address.String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(data)
}

// TestEnd: a request that is under way when the end comes gets its answer, and
// new ones are served, though not wanted, until the drain delay is over.
func TestEnd(t *testing.T) {
	p := newProcess(t)
	listener := listen(t)
	p.Addr = listener.Addr()
	under := make(chan struct{})
	slow := http.NewServeMux()
	slow.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		close(under)
		select {
		case <-time.After(600 * time.Millisecond): // Longer than the drain delay.
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, "done")
	})
	slow.HandleFunc("/quick", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	component := service.HTTP(&http.Server{Handler: slow, ReadHeaderTimeout: time.Second}, listener)
	p.Components = []service.Component{component}
	closed := 0
	p.Closers = []func(){func() { closed++ }}
	end, ended := start(t, p)

	if status, _ := get(t, p.Admin.Addr(), "/readyz"); status != http.StatusOK {
		t.Fatalf("ready: %d", status)
	}
	answer := make(chan string, 1)
	go func() {
		_, body := get(t, p.Addr, "/slow")
		answer <- body
	}()
	<-under
	end()
	eventually(t, "unready while draining", func() bool {
		status, body := get(t, p.Admin.Addr(), "/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, `"draining":true`)
	})
	if status, _ := get(t, p.Admin.Addr(), "/healthz"); status != http.StatusOK {
		t.Errorf("alive while draining: %d", status)
	}
	if _, body := get(t, p.Addr, "/quick"); body != "hello" {
		t.Errorf("a new request while draining: %s", body)
	}
	if got := <-answer; got != "done" {
		t.Errorf("the request under way got %q", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
	if status, _ := get(t, p.Addr, "/quick"); status != 0 {
		t.Errorf("still served afterwards: %d", status)
	}
	if closed != 1 {
		t.Errorf("closers ran %d times", closed)
	}
}

// TestReadiness names what is wrong.
func TestReadiness(t *testing.T) {
	p := newProcess(t)
	p.DrainDelay = 0
	var broken atomic.Bool
	p.Checks = []service.Check{
		{Name: "fine", Run: func(context.Context) error { return nil }},
		{Name: "other", Run: func(context.Context) error {
			if broken.Load() {
				return errBroken
			}
			return nil
		}},
		{Name: "slow", Run: func(ctx context.Context) error {
			if !broken.Load() {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}},
	}
	end, ended := start(t, p)
	if status, body := get(t, p.Admin.Addr(), "/readyz"); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
	broken.Store(true)
	status, body := get(t, p.Admin.Addr(), "/readyz")
	var state struct {
		Ready  bool
		Checks map[string]string
	}
	if err := json.NewDecoder(bytes.NewBufferString(body)).Decode(&state); err != nil {
		t.Fatal(err)
	}
	if status != http.StatusServiceUnavailable || state.Ready || state.Checks["fine"] != "ok" ||
		state.Checks["other"] != errBroken.Error() || !strings.Contains(state.Checks["slow"], "deadline") {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := get(t, p.Admin.Addr(), "/healthz"); status != http.StatusOK {
		t.Errorf("alive: %d", status)
	}
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestFailures: whatever a component does, Run ends, and says so.
func TestFailures(t *testing.T) {
	block := func(ctx context.Context) error { <-ctx.Done(); return nil }
	nothing := func(context.Context) error { return nil }
	stuck := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	tests := []struct {
		name  string
		serve func(context.Context) error
		stop  func(context.Context) error
		end   bool
		want  string
	}{
		{"fails", func(context.Context) error { return errBroken }, nothing, false, "part: broken on purpose"},
		{"ends by itself", nothing, nothing, false, "ended by itself"},
		{"does not stop", block, stuck, true, "stop part: context deadline exceeded"},
		{"fails to stop", block, func(context.Context) error { return errBroken }, true, "stop part: broken on purpose"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newProcess(t)
			p.StopTimeout, p.DrainDelay = 100*time.Millisecond, 0
			p.Components = []service.Component{{Name: "part", Serve: tt.serve, Stop: tt.stop}}
			end, ended := start(t, p)
			if tt.end {
				end()
			}
			select {
			case err := <-ended:
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("ended with %v, want %s", err, tt.want)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("did not end")
			}
		})
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}
