package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tatami-platform/tatami/examples/shop/internal/domain"
)

// Receipt is the answer to a checkout. The order is stored on the queue.
type Receipt struct {
	Order domain.Order
	// Duplicate: the queue had the order already. It forgets after some minutes,
	// the ledger of the worker later.
	Duplicate bool
}

// Cashier checks carts out.
type Cashier struct {
	Carts   Carts
	Catalog Catalog
	Orders  Orders
	Log     *slog.Logger
	Now     func() time.Time
}

// Checkout prices the customer's cart and puts the order on the queue. With the
// same key it returns the same order, whatever happened in between: the order
// is claimed before it is published, and published again if in doubt; the
// worker drops what it has fulfilled. An error means that the caller may repeat
// the call with the same key.
func (c *Cashier) Checkout(ctx context.Context, user domain.User, key string) (Receipt, error) {
	id, err := domain.NewOrderID(user, key)
	if err != nil {
		return Receipt{}, err
	}
	order, err := c.Orders.Find(ctx, id)
	if errors.Is(err, ErrNotFound) {
		order, err = c.claim(ctx, user, id)
	}
	if err != nil {
		return Receipt{}, err
	}
	duplicate, err := c.Orders.Publish(ctx, order)
	if err != nil {
		return Receipt{}, err
	}
	// The order is safe. A cart that still shows it is a nuisance and no reason
	// to refuse; a repeated checkout or the next one puts it right.
	if err := c.Carts.Settle(ctx, user, id, order.CartLines()); err != nil {
		c.Log.WarnContext(ctx, "cart not settled", "order", id, "user", user, "error", err)
	}
	return Receipt{Order: order, Duplicate: duplicate}, nil
}

func (c *Cashier) claim(ctx context.Context, user domain.User, id domain.OrderID) (domain.Order, error) {
	cart, err := c.Carts.Cart(ctx, user)
	if err != nil {
		return domain.Order{}, fmt.Errorf("cart of %s: %w", user, err)
	}
	order, err := priced(ctx, c.Catalog, cart)
	if err != nil {
		return domain.Order{}, err
	}
	order.ID, order.PlacedAt = id, c.Now().UTC()
	return c.Orders.Claim(ctx, order)
}

// priced asks the catalog only for what is in the cart.
func priced(ctx context.Context, catalog Catalog, cart domain.Cart) (domain.Order, error) {
	if len(cart.Lines) == 0 {
		return domain.Order{}, domain.ErrCartEmpty
	}
	skus := make([]domain.SKU, 0, len(cart.Lines))
	for _, line := range cart.Lines {
		skus = append(skus, line.SKU)
	}
	products, err := catalog.Products(ctx, skus...)
	if err != nil {
		return domain.Order{}, fmt.Errorf("prices: %w", err)
	}
	return domain.Price(cart, products)
}
