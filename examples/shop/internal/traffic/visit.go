package traffic

import (
	"context"
	"fmt"
	"time"
)

// RequestsPerVisit is the page, the products, an addition to the cart and the
// checkout.
const RequestsPerVisit = 4

// maxPieces is how many pieces a customer takes at most.
const maxPieces = 3

// Shop is what a customer can do.
type Shop interface {
	Page(ctx context.Context, user string) error
	Products(ctx context.Context) (skus []string, err error)
	Add(ctx context.Context, user, sku string, quantity int) error
	Checkout(ctx context.Context, user, key string) error
}

// Customer visits a shop.
type Customer struct {
	Shop Shop
	// Run tells the orders of this generator from those of an earlier one.
	Run string
	// Users is how many names customers have.
	Users int
	// Observe is told of every request.
	Observe func(request string, took time.Duration, err error)
}

// Visit looks around, takes something and orders it. It ends at the first
// error: a customer who gets one leaves.
func (c *Customer) Visit(ctx context.Context, number int) {
	user := fmt.Sprintf("visitor-%d", number%c.Users)
	if !c.timed("page", func() error { return c.Shop.Page(ctx, user) }) {
		return
	}
	var skus []string
	listed := c.timed("products", func() (err error) {
		skus, err = c.Shop.Products(ctx)
		return err
	})
	if !listed || len(skus) == 0 {
		return
	}
	// Numbered and not drawn, so that every run asks for the same things.
	sku, pieces := skus[number%len(skus)], 1+number%maxPieces
	if !c.timed("add", func() error { return c.Shop.Add(ctx, user, sku, pieces) }) {
		return
	}
	key := fmt.Sprintf("%s-%d", c.Run, number)
	c.timed("checkout", func() error { return c.Shop.Checkout(ctx, user, key) })
}

func (c *Customer) timed(request string, do func() error) bool {
	start := time.Now()
	err := do()
	c.Observe(request, time.Since(start), err)
	return err == nil
}
