package jetstream

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tatami-platform/tatami/examples/shop/internal/app"
)

// The streams and their subjects; the last token is the order's name.
const (
	OrdersStream = "ORDERS"
	ordersPrefix = "shop.orders."

	claimsStream = "CLAIMS"
	claimsPrefix = "shop.claims."

	ledgerStream = "LEDGER"
	ledgerPrefix = "shop.ledger."

	consumerName = "worker"

	// memory is how long a repeated checkout or delivery is recognised.
	memory = time.Hour

	ordersBytes = 64 << 20
	memoryBytes = 32 << 20
)

func streams() []jetstream.StreamConfig {
	once := jetstream.StreamConfig{
		Storage: jetstream.FileStorage, MaxMsgsPerSubject: 1, MaxAge: memory, MaxBytes: memoryBytes,
		// A full memory forgets its oldest entry early; it must not stop the shop.
		Discard: jetstream.DiscardOld, AllowDirect: true,
	}
	claims, ledger := once, once
	claims.Name, claims.Subjects = claimsStream, []string{claimsPrefix + "*"}
	ledger.Name, ledger.Subjects = ledgerStream, []string{ledgerPrefix + "*"}
	orders := jetstream.StreamConfig{
		Name: OrdersStream, Subjects: []string{ordersPrefix + "*"}, Storage: jetstream.FileStorage,
		Retention: jetstream.WorkQueuePolicy, MaxBytes: ordersBytes, Duplicates: 2 * time.Minute,
		// A full queue refuses new orders; an accepted one is never thrown away.
		Discard: jetstream.DiscardNew,
	}
	return []jetstream.StreamConfig{orders, claims, ledger}
}

// Conn is a connection to the queue that mends itself: it reconnects for ever,
// and makes the streams again where a queue has come back without them.
type Conn struct {
	nats *nats.Conn
	js   jetstream.JetStream

	mu sync.Mutex
	// streams by name, as far as we know they exist; nil when we do not.
	streams map[string]jetstream.Stream
}

// Connect returns at once; until the queue is reached, calls fail with
// app.ErrUnavailable.
func Connect(url, name string, log *slog.Logger) (*Conn, error) {
	c := &Conn{}
	conn, err := nats.Connect(url,
		nats.Name(name),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250*time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, 100*time.Millisecond),
		nats.Timeout(2*time.Second),
		nats.PingInterval(5*time.Second),
		// What cannot be sent now is the caller's to repeat; sending it minutes
		// later would place an order that was answered with an error.
		nats.ReconnectBufSize(-1),
		nats.NoCallbacksAfterClientClose(),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			c.forget()
			log.Warn("queue connection lost", "error", err)
		}),
		nats.ReconnectHandler(func(conn *nats.Conn) { log.Info("queue connected again", "url", conn.ConnectedUrl()) }),
	)
	if err != nil {
		return nil, fmt.Errorf("queue at %s: %w", url, err)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("queue at %s: %w", url, err)
	}
	c.nats, c.js = conn, js
	return c, nil
}

// Close ends the connection.
func (c *Conn) Close() { c.nats.Close() }

// Ready reports whether orders can be stored.
func (c *Conn) Ready(ctx context.Context) error {
	if !c.nats.IsConnected() {
		return fmt.Errorf("queue: %w: %s", app.ErrUnavailable, c.nats.Status())
	}
	_, err := c.stream(ctx, OrdersStream)
	return err
}

// stream returns one of the shop's streams. It makes those that are missing,
// once per connection.
func (c *Conn) stream(ctx context.Context, name string) (jetstream.Stream, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.streams != nil {
		return c.streams[name], nil
	}
	if !c.nats.IsConnected() {
		return nil, fmt.Errorf("queue: %w: %s", app.ErrUnavailable, c.nats.Status())
	}
	made := make(map[string]jetstream.Stream)
	for _, config := range streams() {
		stream, err := c.js.CreateOrUpdateStream(ctx, config)
		if err != nil {
			return nil, fmt.Errorf("stream %s: %w: %w", config.Name, app.ErrUnavailable, err)
		}
		made[config.Name] = stream
	}
	c.streams = made
	return made[name], nil
}

// forget makes the next call look at the streams again.
func (c *Conn) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.streams = nil
}
