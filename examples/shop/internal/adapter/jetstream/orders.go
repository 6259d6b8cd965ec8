package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tatami-platform/tatami/examples/shop/internal/app"
	"github.com/tatami-platform/tatami/examples/shop/internal/domain"
	"github.com/tatami-platform/tatami/examples/shop/internal/wire"
)

// storeTimeout is how long the queue may take to store one message.
const storeTimeout = 2 * time.Second

// Orders implements app.Orders and app.Ledger.
type Orders struct{ *Conn }

// Find reads the order that was claimed.
func (o Orders) Find(ctx context.Context, id domain.OrderID) (domain.Order, error) {
	data, err := o.last(ctx, claimsStream, claimsPrefix+string(id))
	if err != nil {
		return domain.Order{}, fmt.Errorf("claim %s: %w", id, err)
	}
	return decode(data)
}

// Claim stores an order under its name; the first one wins.
func (o Orders) Claim(ctx context.Context, order domain.Order) (domain.Order, error) {
	data, err := encode(order)
	if err != nil {
		return domain.Order{}, err
	}
	first, err := o.create(ctx, claimsPrefix+string(order.ID), data)
	if err != nil {
		return domain.Order{}, fmt.Errorf("claim %s: %w", order.ID, err)
	}
	if !first {
		return o.Find(ctx, order.ID)
	}
	return order, nil
}

// Publish puts an order on the queue and waits until it is stored.
func (o Orders) Publish(ctx context.Context, order domain.Order) (duplicate bool, err error) {
	data, err := encode(order)
	if err != nil {
		return false, err
	}
	ack, err := o.store(ctx, ordersPrefix+string(order.ID), data, jetstream.WithMsgID(string(order.ID)))
	if err != nil {
		return false, fmt.Errorf("publish order %s: %w", order.ID, unavailable(err))
	}
	return ack.Duplicate, nil
}

// Fulfilled looks an order up in the ledger.
func (o Orders) Fulfilled(ctx context.Context, id domain.OrderID) (bool, error) {
	_, err := o.last(ctx, ledgerStream, ledgerPrefix+string(id))
	if errors.Is(err, app.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Record makes the ledger's entry, at most once.
func (o Orders) Record(ctx context.Context, id domain.OrderID) (first bool, err error) {
	return o.create(ctx, ledgerPrefix+string(id), nil)
}

// create stores a message unless its subject has one, and says whether it did.
func (o Orders) create(ctx context.Context, subject string, data []byte) (bool, error) {
	_, err := o.store(ctx, subject, data, jetstream.WithExpectLastSequencePerSubject(0))
	var refused *jetstream.APIError
	if errors.As(err, &refused) && refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence {
		return false, nil
	}
	if err != nil {
		return false, unavailable(err)
	}
	return true, nil
}

func (o Orders) store(ctx context.Context, subject string, data []byte, opt jetstream.PublishOpt) (*jetstream.PubAck, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if _, err := o.stream(ctx, OrdersStream); err != nil {
		return nil, err
	}
	// No retries in the library: they would hide that the streams are gone.
	ack, err := o.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: data}, opt, jetstream.WithRetryAttempts(0))
	if errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders) {
		o.forget()
	}
	return ack, err
}

func (o Orders) last(ctx context.Context, stream, subject string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	handle, err := o.stream(ctx, stream)
	if err != nil {
		return nil, err
	}
	stored, err := handle.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, app.ErrNotFound
	}
	if err != nil {
		// Where the stream is gone nobody answers a direct read.
		o.forget()
		return nil, unavailable(err)
	}
	return stored.Data, nil
}

func unavailable(err error) error {
	if errors.Is(err, app.ErrUnavailable) {
		return err
	}
	return fmt.Errorf("queue: %w: %w", app.ErrUnavailable, err)
}

func encode(order domain.Order) ([]byte, error) {
	data, err := json.Marshal(wire.FromOrder(order))
	if err != nil {
		return nil, fmt.Errorf("encode order %s: %w", order.ID, err)
	}
	return data, nil
}

func decode(data []byte) (domain.Order, error) {
	var order wire.Order
	if err := json.Unmarshal(data, &order); err != nil {
		return domain.Order{}, fmt.Errorf("decode order: %w", err)
	}
	if order.ID == "" {
		return domain.Order{}, errors.New("decode order: it has no id")
	}
	return wire.ToOrder(order), nil
}
