package app

import (
	"context"
	"errors"

	"github.com/tatami-platform/tatami/examples/shop/internal/domain"
)

// Errors that adapters wrap.
var (
	// ErrUnavailable: a dependency did not answer in time; trying again later
	// may help.
	ErrUnavailable = errors.New("temporarily unavailable")
	// ErrNotFound: the thing that was asked for does not exist.
	ErrNotFound = errors.New("not found")
)

// Catalog knows the products. No SKU means all products.
type Catalog interface {
	Products(ctx context.Context, skus ...domain.SKU) ([]domain.Product, error)
}

// Carts keeps one cart per customer.
type Carts interface {
	// Cart returns an empty cart for a customer who is not known.
	Cart(ctx context.Context, user domain.User) (domain.Cart, error)
	Add(ctx context.Context, user domain.User, line domain.Line) (domain.Cart, error)
	// Settle takes an order out of the cart; repeating it has no effect.
	Settle(ctx context.Context, user domain.User, id domain.OrderID, lines []domain.Line) error
}

// Checkout turns a cart into an accepted order.
type Checkout interface {
	Checkout(ctx context.Context, user domain.User, key string) (Receipt, error)
}

// Orders is the queue of accepted orders with its two memories.
type Orders interface {
	// Find returns the order that was claimed under this name, or ErrNotFound.
	Find(ctx context.Context, id domain.OrderID) (domain.Order, error)
	// Claim stores the order unless one of that name is stored already, and
	// returns the one that is stored.
	Claim(ctx context.Context, order domain.Order) (domain.Order, error)
	// Publish returns nil only when the queue has stored the order. It reports
	// whether the queue had it already.
	Publish(ctx context.Context, order domain.Order) (duplicate bool, err error)
}

// Ledger remembers which orders were fulfilled.
type Ledger interface {
	Fulfilled(ctx context.Context, id domain.OrderID) (bool, error)
	// Record notes an order as fulfilled and reports false if it already was.
	// Of two concurrent calls for one order exactly one gets true.
	Record(ctx context.Context, id domain.OrderID) (first bool, err error)
}
