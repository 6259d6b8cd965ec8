package role

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/tatami-platform/tatami/examples/shop/internal/adapter/httpapi"
	"github.com/tatami-platform/tatami/examples/shop/internal/config"
	"github.com/tatami-platform/tatami/examples/shop/internal/service"
	"github.com/tatami-platform/tatami/examples/shop/internal/telemetry"
)

// builder makes a role's process from KEY=value pairs.
type builder func(environ []string, logs io.Writer) (*service.Process, error)

func builders() map[string]builder {
	return map[string]builder{
		"web": newWeb, "catalog": newCatalog, "cart": newCart, "checkout": newCheckout,
		"worker": newWorker, "queue": newQueue, "load": newLoad,
	}
}

// Names lists the roles.
func Names() []string {
	var names []string
	for name := range builders() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// New makes the process of a role. It listens already; Run serves.
func New(name string, environ []string, logs io.Writer) (*service.Process, error) {
	build, known := builders()[name]
	if !known {
		return nil, fmt.Errorf("no role %q; there are %s", name, strings.Join(Names(), ", "))
	}
	process, err := build(environ, logs)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return process, nil
}

// Main runs the role that the arguments name until the context is cancelled,
// and returns the exit code. Logs go to stdout, what a person must know before
// there is a log to stderr.
func Main(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	if len(args) != 1 {
		fmt.Fprintf(stderr, "usage: shop ROLE\nroles: %s\nconfigured by SHOP_* variables, see the README\n", strings.Join(Names(), ", "))
		return 1
	}
	process, err := New(args[0], environ, stdout)
	if err != nil {
		fmt.Fprintf(stderr, "shop: %v\n", err)
		return 1
	}
	if err := process.Run(ctx); err != nil {
		process.Log.Error("ended with an error", "error", err)
		return 1
	}
	return 0
}

// newProcess opens the admin port. The caller adds components and checks.
func newProcess(name string, c config.Common, logs io.Writer) (*service.Process, error) {
	admin, err := listen(c.AdminAddr)
	if err != nil {
		return nil, err
	}
	return &service.Process{
		Log: telemetry.NewLogger(logs, c.LogLevel, name), Registry: telemetry.NewRegistry(), Admin: admin,
		DrainDelay: c.DrainDelay, StopTimeout: c.StopTimeout,
	}, nil
}

// addHTTP opens the role's port and serves the mux there.
func addHTTP(p *service.Process, address string, mux *http.ServeMux) error {
	listener, err := listen(address)
	if err != nil {
		return err
	}
	p.Addr = listener.Addr()
	handler := httpapi.Instrument(mux, telemetry.NewRequests(p.Registry, "http"), p.Log)
	p.Components = append(p.Components, service.HTTP(httpapi.NewServer(handler), listener))
	return nil
}

func listen(address string) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s; is the port taken? %w", address, err)
	}
	return listener, nil
}

// reachable checks that something accepts connections at the host of a URL.
func reachable(name, url string) service.Check {
	address := url[strings.Index(url, "://")+len("://"):]
	if !strings.Contains(address, ":") {
		address += ":80"
	}
	return service.Check{Name: name, Run: func(ctx context.Context) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	}}
}
