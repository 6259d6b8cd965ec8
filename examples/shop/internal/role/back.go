package role

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"time"

	"github.com/tatami-platform/tatami/examples/shop/internal/adapter/httpapi"
	"github.com/tatami-platform/tatami/examples/shop/internal/adapter/jetstream"
	"github.com/tatami-platform/tatami/examples/shop/internal/adapter/natsserver"
	"github.com/tatami-platform/tatami/examples/shop/internal/app"
	"github.com/tatami-platform/tatami/examples/shop/internal/config"
	"github.com/tatami-platform/tatami/examples/shop/internal/service"
	"github.com/tatami-platform/tatami/examples/shop/internal/telemetry"
	"github.com/tatami-platform/tatami/examples/shop/internal/traffic"
)

func newWorker(environ []string, logs io.Writer) (*service.Process, error) {
	c, err := config.LoadWorker(environ)
	if err != nil {
		return nil, err
	}
	p, err := newProcess("worker", c.Common, logs)
	if err != nil {
		return nil, err
	}
	conn, err := jetstream.Connect(c.QueueURL, "worker", p.Log)
	if err != nil {
		return nil, err
	}
	fulfiller := &app.Fulfiller{Ledger: jetstream.Orders{Conn: conn}, WorkTime: c.WorkTime}
	consumer := &jetstream.Consumer{
		Conn: conn, Fulfil: fulfiller.Fulfil, Metrics: telemetry.NewWorker(p.Registry), Log: p.Log,
		Concurrency: c.Concurrency, AckWait: c.AckWait,
	}
	p.Checks = []service.Check{{Name: "queue", Run: conn.Ready}}
	p.Components = []service.Component{untilDone("orders", consumer.Serve, consumer.Stop)}
	p.Closers = []func(){conn.Close}
	return p, nil
}

func newQueue(environ []string, logs io.Writer) (*service.Process, error) {
	c, err := config.LoadQueue(environ)
	if err != nil {
		return nil, err
	}
	p, err := newProcess("queue", c.Common, logs)
	if err != nil {
		return nil, err
	}
	server, err := natsserver.Start(c.Addr, c.Dir, c.MaxBytes, p.Log)
	if err != nil {
		return nil, err
	}
	server.Register(p.Registry)
	p.Addr = server.Addr()
	p.Checks = []service.Check{{Name: "jetstream", Run: server.Ready}}
	p.Components = []service.Component{
		untilDone("nats", func(context.Context) error { return server.Serve() }, server.Stop),
	}
	return p, nil
}

// newLoad repeats no request: repetitions would hide what the shop does.
func newLoad(environ []string, logs io.Writer) (*service.Process, error) {
	c, err := config.LoadLoad(environ)
	if err != nil {
		return nil, err
	}
	p, err := newProcess("load", c.Common, logs)
	if err != nil {
		return nil, err
	}
	client := httpapi.WebClient{Client: httpapi.NewClient(c.WebURL, c.CallTimeout, 1)}
	metrics := telemetry.NewLoad(p.Registry)
	customer := &traffic.Customer{
		Shop: client, Run: rand.Text(), Users: c.Users,
		Observe: func(request string, took time.Duration, err error) {
			metrics.Observe(request, httpapi.Code(err), took)
			if err != nil {
				p.Log.Warn("request failed", "request", request, "error", err)
			}
		},
	}
	generator := &traffic.Generator{
		Pattern: c.Pattern, Visit: customer.Visit, MaxVisits: c.MaxVisits,
		Dropped: metrics.Dropped.Inc, Target: metrics.Target.Set,
	}
	p.Log.Info("load", "pattern", c.Pattern.Kind, "rps", c.Pattern.Base, "peakRPS", c.Pattern.Peak, "period", c.Pattern.Period.String())
	p.Checks = []service.Check{reachable("web", c.WebURL)}
	p.Components = []service.Component{untilDone("load", generator.Serve, generator.Stop)}
	p.Closers = []func(){client.Close}
	return p, nil
}

// untilDone makes a component whose Stop waits until Serve has returned.
func untilDone(name string, serve func(context.Context) error, stop func()) service.Component {
	done := make(chan struct{})
	return service.Component{
		Name: name,
		Serve: func(ctx context.Context) error {
			defer close(done)
			return serve(ctx)
		},
		Stop: func(ctx context.Context) error {
			stop()
			select {
			case <-done:
				return nil
			case <-ctx.Done():
				return fmt.Errorf("work in hand broken off: %w", ctx.Err())
			}
		},
	}
}
