package catalogrpc_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tatami-platform/tatami/examples/shop/internal/adapter/catalogrpc"
	"github.com/tatami-platform/tatami/examples/shop/internal/adapter/memory"
	"github.com/tatami-platform/tatami/examples/shop/internal/app"
	"github.com/tatami-platform/tatami/examples/shop/internal/domain"
	"github.com/tatami-platform/tatami/examples/shop/internal/telemetry"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

func start(t *testing.T, catalog app.Catalog) (*catalogrpc.Server, *catalogrpc.Client, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewRegistry()
	server := catalogrpc.NewServer(catalog, telemetry.NewRequests(registry, "grpc"))
	listener := listen(t)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	client, err := catalogrpc.NewClient(listener.Addr().String(), 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
		if err := server.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return server, client, registry
}

func TestProductsTravelUnchanged(t *testing.T) {
	_, client, registry := start(t, memory.NewProducts())
	want, _ := memory.NewProducts().Products(t.Context())
	got, err := client.Products(t.Context())
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	got, err = client.Products(t.Context(), "matcha", "hat")
	if err != nil || len(got) != 1 || got[0].SKU != "matcha" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err = client.Products(t.Context(), "Not A Name"); !errors.Is(err, domain.ErrUnknownProduct) {
		t.Errorf("bad name: %v", err)
	}
	if _, err = client.Products(t.Context(), make([]domain.SKU, 101)...); err == nil {
		t.Error("101 products asked for: no error")
	}
	if n := testutil.CollectAndCount(registry, "shop_grpc_requests_total"); n != 2 {
		t.Errorf("%d series, want OK and InvalidArgument", n)
	}
}

// flaky fails a number of times.
type flaky struct {
	app.Catalog

	failures atomic.Int32
	calls    atomic.Int32
}

func (f *flaky) Products(ctx context.Context, skus ...domain.SKU) ([]domain.Product, error) {
	f.calls.Add(1)
	if f.failures.Add(-1) >= 0 {
		return nil, app.ErrUnavailable
	}
	return f.Catalog.Products(ctx, skus...)
}

func TestUnavailableIsRetried(t *testing.T) {
	catalog := &flaky{Catalog: memory.NewProducts()}
	_, client, _ := start(t, catalog)
	catalog.failures.Store(2)
	if _, err := client.Products(t.Context()); err != nil || catalog.calls.Load() != 3 {
		t.Errorf("two failures: %v after %d calls", err, catalog.calls.Load())
	}
	catalog.failures.Store(100)
	catalog.calls.Store(0)
	if _, err := client.Products(t.Context()); !errors.Is(err, app.ErrUnavailable) || catalog.calls.Load() != 3 {
		t.Errorf("down: %v after %d calls", err, catalog.calls.Load())
	}
}

func TestHealth(t *testing.T) {
	server, client, _ := start(t, memory.NewProducts())
	if err := client.Ready(t.Context()); err != nil {
		t.Errorf("serving: %v", err)
	}
	server.Drain()
	if err := client.Ready(t.Context()); err == nil {
		t.Error("draining: still ready")
	}
	if _, err := client.Products(t.Context()); err != nil {
		t.Errorf("draining: calls must still be answered: %v", err)
	}
}

func TestNobodyThere(t *testing.T) {
	listener := listen(t)
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	client, err := catalogrpc.NewClient(address, 500*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	if _, err := client.Products(t.Context()); !errors.Is(err, app.ErrUnavailable) {
		t.Errorf("call: %v", err)
	}
	if err := client.Ready(t.Context()); err == nil {
		t.Error("ready")
	}
}
