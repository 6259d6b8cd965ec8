package jetstream_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tatami-platform/tatami/examples/shop/internal/adapter/jetstream"
	"github.com/tatami-platform/tatami/examples/shop/internal/adapter/natsserver"
	"github.com/tatami-platform/tatami/examples/shop/internal/app"
	"github.com/tatami-platform/tatami/examples/shop/internal/domain"
	"github.com/tatami-platform/tatami/examples/shop/internal/telemetry"
)

// startQueue runs the real server; stop may be called early.
func startQueue(t *testing.T, address, folder string) (addr net.Addr, stop func()) {
	t.Helper()
	server, err := natsserver.Start(address, folder, 160<<20, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(server.Stop)
	t.Cleanup(stop)
	return server.Addr(), stop
}

func connect(t *testing.T, addr net.Addr) jetstream.Orders {
	t.Helper()
	conn, err := jetstream.Connect("nats://"+addr.String(), t.Name(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	eventually(t, "connected", func() bool { return conn.Ready(t.Context()) == nil })
	return jetstream.Orders{Conn: conn}
}

func order(id string) domain.Order {
	return domain.Order{
		ID: domain.OrderID(id), User: "ana", Shipping: 4 * domain.Dollar, Total: 28 * domain.Dollar,
		Lines: []domain.OrderLine{{
			Line: domain.Line{SKU: "rice-bowl", Quantity: 2}, Name: "Rice bowl", UnitPrice: 12 * domain.Dollar, Total: 24 * domain.Dollar,
		}},
		PlacedAt: time.Date(2026, 5, 1, 12, 0, 0, 123456789, time.UTC),
	}
}

// worker is a consumer whose fulfilment a test decides.
type worker struct {
	*jetstream.Consumer

	cancel context.CancelFunc
	ended  chan error
}

func startWorker(t *testing.T, orders jetstream.Orders, fulfil jetstream.Fulfil) *worker {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := &worker{cancel: cancel, ended: make(chan error, 1), Consumer: &jetstream.Consumer{
		Conn: orders.Conn, Fulfil: fulfil, Metrics: telemetry.NewWorker(prometheus.NewRegistry()),
		Log: slog.New(slog.DiscardHandler), Concurrency: 4, AckWait: 500 * time.Millisecond,
	}}
	go func() { w.ended <- w.Serve(ctx) }()
	t.Cleanup(func() {
		w.Stop()
		cancel()
	})
	return w
}

func (w *worker) processed() float64 { return testutil.ToFloat64(w.Metrics.Processed) }

// ledgered fulfils through the real ledger.
func ledgered(orders jetstream.Orders) jetstream.Fulfil {
	return (&app.Fulfiller{Ledger: orders}).Fulfil
}

func TestMemories(t *testing.T) {
	addr, _ := startQueue(t, "127.0.0.1:0", t.TempDir())
	orders := connect(t, addr)
	ctx := t.Context()
	if _, err := orders.Find(ctx, "a"); !errors.Is(err, app.ErrNotFound) {
		t.Fatalf("find nothing: %v", err)
	}
	first, other := order("a"), order("a")
	other.User = "bob"
	for _, o := range []domain.Order{first, other, first} {
		got, err := orders.Claim(ctx, o)
		if diff := cmp.Diff(first, got); diff != "" || err != nil {
			t.Errorf("claim: %v %s", err, diff)
		}
	}
	got, err := orders.Find(ctx, "a")
	if diff := cmp.Diff(first, got); diff != "" || err != nil {
		t.Errorf("find: %v %s", err, diff)
	}
	for i, want := range []bool{false, true, true} {
		if duplicate, err := orders.Publish(ctx, first); err != nil || duplicate != want {
			t.Errorf("publish %d: duplicate %v, %v", i, duplicate, err)
		}
	}
	if done, err := orders.Fulfilled(ctx, "a"); done || err != nil {
		t.Errorf("fulfilled: %v, %v", done, err)
	}
	var firsts int
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			first, err := orders.Record(ctx, "a")
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if first {
				firsts++
			}
		})
	}
	all.Wait()
	if done, err := orders.Fulfilled(ctx, "a"); !done || err != nil || firsts != 1 {
		t.Errorf("recorded ten times: %d firsts, fulfilled %v, %v", firsts, done, err)
	}
}

// TestFailedOrdersComeAgain, and are done once in the end.
func TestFailedOrdersComeAgain(t *testing.T) {
	addr, _ := startQueue(t, "127.0.0.1:0", t.TempDir())
	orders := connect(t, addr)
	var mu sync.Mutex
	tries := map[domain.OrderID]int{}
	done := ledgered(orders)
	w := startWorker(t, orders, func(ctx context.Context, o domain.Order) (bool, error) {
		mu.Lock()
		tries[o.ID]++
		n := tries[o.ID]
		mu.Unlock()
		if n < 3 {
			return false, errors.New("not now")
		}
		return done(ctx, o)
	})
	for i := range 5 {
		if _, err := orders.Publish(t.Context(), order(fmt.Sprint("o", i))); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all processed", func() bool { return w.processed() == 5 })
	if failed := testutil.ToFloat64(w.Metrics.Failed); failed != 10 {
		t.Errorf("%g failures, want 10", failed)
	}
}

// TestDeadWorker: what a worker took and did not finish goes to another one;
// what it finished and did not acknowledge is not done again.
func TestDeadWorker(t *testing.T) {
	addr, _ := startQueue(t, "127.0.0.1:0", t.TempDir())
	orders := connect(t, addr)
	dying := connect(t, addr)
	finished := make(chan struct{})
	record := ledgered(dying)
	startWorker(t, dying, func(ctx context.Context, o domain.Order) (bool, error) {
		if o.ID == "finished" {
			_, err := record(ctx, o)
			if err != nil {
				t.Error(err)
			}
			close(finished)
		}
		<-ctx.Done() // Dead: says nothing any more.
		return false, ctx.Err()
	})
	for _, id := range []string{"finished", "begun"} {
		if _, err := orders.Publish(t.Context(), order(id)); err != nil {
			t.Fatal(err)
		}
	}
	<-finished
	dying.Close()
	heir := startWorker(t, orders, ledgered(orders))
	eventually(t, "both settled", func() bool {
		return heir.processed() == 1 && testutil.ToFloat64(heir.Metrics.Duplicates) == 1
	})
}

// TestStop finishes what is in hand and takes nothing more.
func TestStop(t *testing.T) {
	addr, _ := startQueue(t, "127.0.0.1:0", t.TempDir())
	orders := connect(t, addr)
	taken, release := make(chan struct{}, 100), make(chan struct{})
	done := ledgered(orders)
	w := startWorker(t, orders, func(ctx context.Context, o domain.Order) (bool, error) {
		taken <- struct{}{}
		<-release
		return done(ctx, o)
	})
	for i := range 40 {
		if _, err := orders.Publish(t.Context(), order(fmt.Sprint("o", i))); err != nil {
			t.Fatal(err)
		}
	}
	<-taken
	w.Stop()
	close(release)
	if err := <-w.ended; err != nil {
		t.Error(err)
	}
	// Those in hand and those that were on their way, and no others.
	got := w.processed()
	if got < 1 || got > 8 {
		t.Errorf("%g processed after Stop, want 1 to 8", got)
	}
	// The rest waits for the next worker.
	next := startWorker(t, orders, done)
	eventually(t, "the rest processed", func() bool { return next.processed() == 40-got })
}

func TestUnreadableOrderIsDroppedAndCounted(t *testing.T) {
	addr, _ := startQueue(t, "127.0.0.1:0", t.TempDir())
	orders := connect(t, addr)
	foreign, err := nats.Connect("nats://" + addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	for _, text := range []string{"garbage", "{}"} {
		if err := foreign.Publish("shop.orders.x", []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	w := startWorker(t, orders, ledgered(orders))
	eventually(t, "counted", func() bool { return testutil.ToFloat64(w.Metrics.Failed) == 2 })
	if _, err := orders.Publish(t.Context(), order("good")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the next one processed", func() bool { return w.processed() == 1 })
}

// TestQueueComesBack with its folder and without it.
func TestQueueComesBack(t *testing.T) {
	for _, keeps := range []bool{true, false} {
		t.Run(fmt.Sprint("keeps its folder ", keeps), func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			addr, stop := startQueue(t, "127.0.0.1:0", folder)
			orders := connect(t, addr)
			if _, err := orders.Publish(t.Context(), order("before")); err != nil {
				t.Fatal(err)
			}
			stop()
			eventually(t, "noticed", func() bool { return orders.Ready(t.Context()) != nil })
			start := time.Now()
			if _, err := orders.Publish(t.Context(), order("lost")); !errors.Is(err, app.ErrUnavailable) || time.Since(start) > 5*time.Second {
				t.Errorf("publish while away: %v after %s", err, time.Since(start))
			}
			w := startWorker(t, orders, ledgered(orders))
			if !keeps {
				folder = t.TempDir()
			}
			startQueue(t, addr.String(), folder)
			eventually(t, "ready again", func() bool { return orders.Ready(t.Context()) == nil })
			if _, err := orders.Publish(t.Context(), order("after")); err != nil {
				t.Fatal(err)
			}
			want := 1.0
			if keeps {
				want = 2
			}
			eventually(t, "processed", func() bool { return w.processed() == want })
		})
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}
