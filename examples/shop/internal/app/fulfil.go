package app

import (
	"context"
	"fmt"
	"time"

	"github.com/tatami-platform/tatami/examples/shop/internal/domain"
)

// Fulfiller does what is to be done for an order: here it takes a while and
// leaves an entry in the ledger.
type Fulfiller struct {
	Ledger Ledger
	// WorkTime is how long one order takes.
	WorkTime time.Duration
}

// Fulfil processes an order that may be delivered more than once. It reports
// false when the order was fulfilled before. The entry in the ledger is the
// effect that counts, and it is made at most once.
func (f *Fulfiller) Fulfil(ctx context.Context, order domain.Order) (first bool, err error) {
	done, err := f.Ledger.Fulfilled(ctx, order.ID)
	if err != nil {
		return false, fmt.Errorf("look up order %s: %w", order.ID, err)
	}
	if done {
		return false, nil
	}
	work := time.NewTimer(f.WorkTime)
	defer work.Stop()
	select {
	case <-work.C:
	case <-ctx.Done():
		return false, fmt.Errorf("order %s: %w", order.ID, ctx.Err())
	}
	first, err = f.Ledger.Record(ctx, order.ID)
	if err != nil {
		return false, fmt.Errorf("record order %s: %w", order.ID, err)
	}
	return first, nil
}
