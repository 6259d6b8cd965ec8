package config

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/tatami-platform/tatami/examples/shop/internal/traffic"
)

// Common is what every role has.
type Common struct {
	LogLevel slog.Level
	// AdminAddr serves health checks and metrics.
	AdminAddr string
	// DrainDelay is how long a role still serves after it was told to end.
	DrainDelay time.Duration
	// StopTimeout is how long work in hand may then take.
	StopTimeout time.Duration
}

// Web configures the front.
type Web struct {
	Common

	Addr        string
	CatalogAddr string
	CartURL     string
	CheckoutURL string
	// CallTimeout is for one attempt of one call to another role.
	CallTimeout time.Duration
}

// Catalog configures the catalog.
type Catalog struct {
	Common

	Addr string
}

// Cart configures the carts.
type Cart struct {
	Common

	Addr string
	// MaxCarts is how many carts are kept in memory.
	MaxCarts int
}

// Checkout configures the checkout.
type Checkout struct {
	Common

	Addr        string
	CatalogAddr string
	CartURL     string
	QueueURL    string
	CallTimeout time.Duration
}

// Worker configures the worker.
type Worker struct {
	Common

	QueueURL    string
	Concurrency int
	// WorkTime is how long one order takes.
	WorkTime time.Duration
	// AckWait is after how long a silent worker's order goes to another.
	AckWait time.Duration
}

// Queue configures the queue.
type Queue struct {
	Common

	Addr string
	Dir  string
	// MaxBytes is how much the queue may store.
	MaxBytes int64
}

// Load configures the traffic generator.
type Load struct {
	Common

	WebURL      string
	CallTimeout time.Duration
	Pattern     traffic.Pattern
	Users       int
	MaxVisits   int
}

func common(r *reader) Common {
	c := Common{
		AdminAddr:   r.address("SHOP_ADMIN_ADDR", ":9090"),
		DrainDelay:  r.duration("SHOP_DRAIN_DELAY", 2*time.Second, span[time.Duration]{0, time.Minute}),
		StopTimeout: r.duration("SHOP_STOP_TIMEOUT", 20*time.Second, span[time.Duration]{100 * time.Millisecond, 10 * time.Minute}),
	}
	level := r.choice("SHOP_LOG_LEVEL", "info", "debug", "info", "warn", "error")
	if err := c.LogLevel.UnmarshalText([]byte(level)); err != nil {
		r.fail("SHOP_LOG_LEVEL", level, err.Error())
	}
	return c
}

func callTimeout(r *reader) time.Duration {
	return r.duration("SHOP_CALL_TIMEOUT", 2*time.Second, span[time.Duration]{10 * time.Millisecond, time.Minute})
}

func web(r *reader) Web {
	return Web{
		Common:      common(r),
		Addr:        r.address("SHOP_ADDR", ":8080"),
		CatalogAddr: r.target("SHOP_CATALOG_ADDR", "catalog:9000"),
		CartURL:     r.url("SHOP_CART_URL", "http://cart:8080", "http"),
		CheckoutURL: r.url("SHOP_CHECKOUT_URL", "http://checkout:8080", "http"),
		CallTimeout: callTimeout(r),
	}
}

func catalog(r *reader) Catalog {
	return Catalog{Common: common(r), Addr: r.address("SHOP_ADDR", ":9000")}
}

func cart(r *reader) Cart {
	return Cart{
		Common:   common(r),
		Addr:     r.address("SHOP_ADDR", ":8080"),
		MaxCarts: r.integer("SHOP_MAX_CARTS", 10_000, span[int]{1, 1_000_000}),
	}
}

func checkout(r *reader) Checkout {
	return Checkout{
		Common:      common(r),
		Addr:        r.address("SHOP_ADDR", ":8080"),
		CatalogAddr: r.target("SHOP_CATALOG_ADDR", "catalog:9000"),
		CartURL:     r.url("SHOP_CART_URL", "http://cart:8080", "http"),
		QueueURL:    r.url("SHOP_QUEUE_URL", "nats://queue:4222", "nats"),
		CallTimeout: callTimeout(r),
	}
}

func worker(r *reader) Worker {
	c := Worker{
		Common:      common(r),
		QueueURL:    r.url("SHOP_QUEUE_URL", "nats://queue:4222", "nats"),
		Concurrency: r.integer("SHOP_WORKER_CONCURRENCY", 4, span[int]{1, 256}),
		WorkTime:    r.duration("SHOP_WORK_TIME", 20*time.Millisecond, span[time.Duration]{0, time.Hour}),
		AckWait:     r.duration("SHOP_ACK_WAIT", 10*time.Second, span[time.Duration]{100 * time.Millisecond, 3 * time.Hour}),
	}
	// An order may wait for the one before it, and must then still be in time.
	if 2*c.WorkTime >= c.AckWait {
		r.fail("SHOP_WORK_TIME", c.WorkTime.String(), fmt.Sprintf("want less than half of SHOP_ACK_WAIT, which is %s", c.AckWait))
	}
	return c
}

func queue(r *reader) Queue {
	return Queue{
		Common: common(r),
		Addr:   r.address("SHOP_ADDR", ":4222"),
		Dir:    r.text("SHOP_QUEUE_DIR", "/data"),
		// The shop's streams reserve 128 MiB.
		MaxBytes: int64(r.integer("SHOP_QUEUE_MAX_MIB", 160, span[int]{128, 1 << 20})) << 20,
	}
}

func load(r *reader) Load {
	rates := span[float64]{0.1, 100_000}
	c := Load{
		Common:      common(r),
		WebURL:      r.url("SHOP_WEB_URL", "http://web:8080", "http"),
		CallTimeout: callTimeout(r),
		Pattern: traffic.Pattern{
			Kind:   traffic.Kind(r.choice("SHOP_LOAD_PATTERN", string(traffic.Steady), traffic.Kinds()...)),
			Base:   r.number("SHOP_LOAD_RPS", 8, rates),
			Peak:   r.number("SHOP_LOAD_PEAK_RPS", 40, rates),
			Period: r.duration("SHOP_LOAD_PERIOD", 24*time.Hour, span[time.Duration]{time.Second, 7 * 24 * time.Hour}),
		},
		Users:     r.integer("SHOP_LOAD_USERS", 200, span[int]{1, 1_000_000}),
		MaxVisits: r.integer("SHOP_LOAD_MAX_VISITS", 256, span[int]{1, 100_000}),
	}
	if c.Pattern.Kind != traffic.Steady && c.Pattern.Peak < c.Pattern.Base {
		r.fail("SHOP_LOAD_PEAK_RPS", fmt.Sprint(c.Pattern.Peak), fmt.Sprintf("want at least SHOP_LOAD_RPS, which is %g", c.Pattern.Base))
	}
	return c
}
