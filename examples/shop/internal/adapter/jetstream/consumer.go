package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tatami-platform/tatami/examples/shop/internal/domain"
	"github.com/tatami-platform/tatami/examples/shop/internal/telemetry"
)

const (
	// maxUnacked bounds what all workers together hold at one time.
	maxUnacked = 1000
	// A pull request without news for two heartbeats is given up.
	heartbeat  = time.Second
	pullExpiry = 5 * time.Second
	// reopenAfter is the pause before a lost consumer is opened again.
	reopenAfter = 500 * time.Millisecond
	// An order that failed comes back after retryAfter, twice that, and so on.
	retryAfter    = 200 * time.Millisecond
	retryAfterMax = 30 * time.Second
	ackTimeout    = 2 * time.Second
)

// Fulfil processes an order and reports false if it had been processed before.
type Fulfil func(ctx context.Context, order domain.Order) (first bool, err error)

// Consumer takes orders from the queue. Each is acknowledged only when it is
// fulfilled; what a dead worker held is delivered to another after AckWait.
type Consumer struct {
	Conn    *Conn
	Fulfil  Fulfil
	Metrics *telemetry.Worker
	Log     *slog.Logger
	// Concurrency is how many orders are processed at one time.
	Concurrency int
	// AckWait is how long an order may take.
	AckWait time.Duration

	mu       sync.Mutex
	stopping bool
	messages jetstream.MessagesContext
	busy     sync.WaitGroup
}

// Serve processes orders until Stop. Cancelling the context gives up orders
// that are being processed; they are delivered again.
func (c *Consumer) Serve(ctx context.Context) error {
	defer c.busy.Wait()
	for !c.stopped() {
		err := c.session(ctx)
		if err == nil || c.stopped() {
			continue
		}
		c.Log.WarnContext(ctx, "no orders can be taken; trying again", "error", err)
		pause := time.NewTimer(reopenAfter)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil
		}
	}
	return nil
}

// Stop takes no more orders from the queue; Serve returns when those that were
// taken are done.
func (c *Consumer) Stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopping = true
	if c.messages != nil {
		c.messages.Drain()
	}
}

func (c *Consumer) stopped() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stopping
}

// session opens the durable consumer and works until it is lost or drained.
func (c *Consumer) session(ctx context.Context) error {
	messages, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer messages.Stop()
	free := make(chan struct{}, c.Concurrency)
	for {
		free <- struct{}{}
		message, err := messages.Next()
		if errors.Is(err, jetstream.ErrMsgIteratorClosed) && c.stopped() {
			return nil
		}
		if err != nil {
			c.Conn.forget()
			return fmt.Errorf("next order: %w", err)
		}
		c.busy.Go(func() {
			defer func() { <-free }()
			c.handle(ctx, message)
		})
	}
}

func (c *Consumer) open(ctx context.Context) (jetstream.MessagesContext, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	stream, err := c.Conn.stream(ctx, OrdersStream)
	if err != nil {
		return nil, err
	}
	consumer, err := stream.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
		Durable: consumerName, AckPolicy: jetstream.AckExplicitPolicy, AckWait: c.AckWait,
		// For ever: an accepted order is never given up.
		MaxDeliver: -1, MaxAckPending: maxUnacked,
	})
	if err != nil {
		c.Conn.forget()
		return nil, fmt.Errorf("consumer %s: %w", consumerName, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopping {
		return nil, errors.New("stopping")
	}
	c.messages, err = consumer.Messages(
		jetstream.PullMaxMessages(c.Concurrency), jetstream.PullExpiry(pullExpiry), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return nil, fmt.Errorf("pull from %s: %w", consumerName, err)
	}
	c.Log.InfoContext(ctx, "taking orders", "concurrency", c.Concurrency)
	return c.messages, nil
}

func (c *Consumer) handle(ctx context.Context, message jetstream.Msg) {
	order, err := decode(message.Data())
	if err != nil {
		c.Metrics.Failed.Inc()
		c.Log.ErrorContext(ctx, "unreadable order dropped", "subject", message.Subject(), "error", err)
		c.settle(ctx, message.Term())
		return
	}
	first, err := c.Fulfil(ctx, order)
	if err != nil {
		c.Metrics.Failed.Inc()
		c.Log.WarnContext(ctx, "order failed; it comes again", "order", order.ID, "error", err)
		c.settle(ctx, message.NakWithDelay(retryDelay(message)))
		return
	}
	if first {
		c.Metrics.Processed.Inc()
		c.Metrics.Seconds.Observe(time.Since(order.PlacedAt).Seconds())
	} else {
		c.Metrics.Duplicates.Inc()
	}
	// Not bound to ctx: the work is done, and saying so must not be cut short.
	confirm, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackTimeout)
	defer cancel()
	c.settle(ctx, message.DoubleAck(confirm))
	c.Log.DebugContext(ctx, "order done", "order", order.ID, "first", first)
}

// settle notes that the queue did not hear the outcome. It will deliver the
// order again, and the ledger makes that harmless.
func (c *Consumer) settle(ctx context.Context, err error) {
	if err != nil {
		c.Log.WarnContext(ctx, "queue not told of the outcome", "error", err)
	}
}

// retryDelay doubles with every delivery.
func retryDelay(message jetstream.Msg) time.Duration {
	delay := retryAfter
	if meta, err := message.Metadata(); err == nil {
		for n := meta.NumDelivered; n > 1 && delay < retryAfterMax; n-- {
			delay *= 2
		}
	}
	return min(delay, retryAfterMax)
}
