package role

import (
	"context"
	"io"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/tatami-platform/tatami/examples/shop/internal/adapter/catalogrpc"
	"github.com/tatami-platform/tatami/examples/shop/internal/adapter/httpapi"
	"github.com/tatami-platform/tatami/examples/shop/internal/adapter/jetstream"
	"github.com/tatami-platform/tatami/examples/shop/internal/adapter/memory"
	"github.com/tatami-platform/tatami/examples/shop/internal/app"
	"github.com/tatami-platform/tatami/examples/shop/internal/config"
	"github.com/tatami-platform/tatami/examples/shop/internal/service"
	"github.com/tatami-platform/tatami/examples/shop/internal/telemetry"
)

// attempts is how often a call that is safe to repeat is made.
const attempts = 3

// newWeb needs only the catalog to be ready: without a cart the page still
// shows what is sold, and taking web away as well would make things worse.
func newWeb(environ []string, logs io.Writer) (*service.Process, error) {
	c, err := config.LoadWeb(environ)
	if err != nil {
		return nil, err
	}
	p, err := newProcess("web", c.Common, logs)
	if err != nil {
		return nil, err
	}
	catalog, err := catalogrpc.NewClient(c.CatalogAddr, c.CallTimeout)
	if err != nil {
		return nil, err
	}
	carts := httpapi.CartClient{Client: httpapi.NewClient(c.CartURL, c.CallTimeout, attempts)}
	cashier := httpapi.CheckoutClient{Client: httpapi.NewClient(c.CheckoutURL, c.CallTimeout, attempts)}
	mux, err := httpapi.WebMux(&app.Storefront{Catalog: catalog, Carts: carts, Cashier: cashier, Log: p.Log}, p.Log)
	if err != nil {
		return nil, err
	}
	p.Checks = []service.Check{{Name: "catalog", Run: catalog.Ready}}
	p.Closers = []func(){carts.Close, cashier.Close, func() { _ = catalog.Close() }}
	return p, addHTTP(p, c.Addr, mux)
}

func newCatalog(environ []string, logs io.Writer) (*service.Process, error) {
	c, err := config.LoadCatalog(environ)
	if err != nil {
		return nil, err
	}
	p, err := newProcess("catalog", c.Common, logs)
	if err != nil {
		return nil, err
	}
	listener, err := listen(c.Addr)
	if err != nil {
		return nil, err
	}
	server := catalogrpc.NewServer(memory.NewProducts(), telemetry.NewRequests(p.Registry, "grpc"))
	p.Addr = listener.Addr()
	p.Components = []service.Component{{
		Name:  "grpc",
		Serve: func(context.Context) error { return server.Serve(listener) },
		Drain: server.Drain, Stop: server.Stop,
	}}
	return p, nil
}

func newCart(environ []string, logs io.Writer) (*service.Process, error) {
	c, err := config.LoadCart(environ)
	if err != nil {
		return nil, err
	}
	p, err := newProcess("cart", c.Common, logs)
	if err != nil {
		return nil, err
	}
	evicted := promauto.With(p.Registry).NewCounter(prometheus.CounterOpts{
		Name: "shop_carts_evicted_total", Help: "Carts dropped to make room for others.",
	})
	carts := memory.NewCarts(c.MaxCarts, evicted.Inc)
	promauto.With(p.Registry).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "shop_carts", Help: "Carts kept.",
	}, func() float64 { return float64(carts.Len()) })
	return p, addHTTP(p, c.Addr, httpapi.CartMux(carts))
}

// newCheckout needs all that it calls: without any of them no order is taken.
func newCheckout(environ []string, logs io.Writer) (*service.Process, error) {
	c, err := config.LoadCheckout(environ)
	if err != nil {
		return nil, err
	}
	p, err := newProcess("checkout", c.Common, logs)
	if err != nil {
		return nil, err
	}
	catalog, err := catalogrpc.NewClient(c.CatalogAddr, c.CallTimeout)
	if err != nil {
		return nil, err
	}
	conn, err := jetstream.Connect(c.QueueURL, "checkout", p.Log)
	if err != nil {
		return nil, err
	}
	carts := httpapi.CartClient{Client: httpapi.NewClient(c.CartURL, c.CallTimeout, attempts)}
	accepted := promauto.With(p.Registry).NewCounter(prometheus.CounterOpts{
		Name: "shop_orders_accepted_total", Help: "Orders stored on the queue, repetitions not counted.",
	})
	cashier := &app.Cashier{
		Carts: carts, Catalog: catalog, Orders: jetstream.Orders{Conn: conn}, Log: p.Log, Now: time.Now,
	}
	p.Checks = []service.Check{
		{Name: "queue", Run: conn.Ready}, {Name: "catalog", Run: catalog.Ready}, reachable("cart", c.CartURL),
	}
	p.Closers = []func(){carts.Close, conn.Close, func() { _ = catalog.Close() }}
	return p, addHTTP(p, c.Addr, httpapi.CheckoutMux(cashier, accepted))
}
