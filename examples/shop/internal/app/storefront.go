package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/tatami-platform/tatami/examples/shop/internal/domain"
)

// Storefront is what the customer sees.
type Storefront struct {
	Catalog Catalog
	Carts   Carts
	Cashier Checkout
	Log     *slog.Logger
}

// View is the content of the page.
type View struct {
	User     domain.User
	Products []domain.Product
	// Quote is the cart at today's prices; nil when it is empty or unknown.
	Quote *domain.Order
	// CartDown: the cart could not be read. The page is shown all the same.
	CartDown bool
}

// View gathers the page. Only the catalog is essential.
func (s *Storefront) View(ctx context.Context, user domain.User) (View, error) {
	type answer struct {
		cart domain.Cart
		err  error
	}
	carts := make(chan answer, 1)
	go func() {
		cart, err := s.Carts.Cart(ctx, user)
		carts <- answer{cart, err}
	}()
	products, err := s.Catalog.Products(ctx)
	if err != nil {
		return View{}, fmt.Errorf("catalog: %w", err)
	}
	view := View{User: user, Products: products}
	got := <-carts
	if got.err == nil {
		view.Quote, got.err = quote(got.cart, products)
	}
	if got.err != nil {
		s.Log.WarnContext(ctx, "page without cart", "user", user, "error", got.err)
		view.CartDown = true
	}
	return view, nil
}

// quote prices a cart; an empty one has no price.
func quote(cart domain.Cart, products []domain.Product) (*domain.Order, error) {
	order, err := domain.Price(cart, products)
	if errors.Is(err, domain.ErrCartEmpty) {
		return nil, nil
	}
	return &order, err
}

// Add puts a product into the cart if it is sold.
func (s *Storefront) Add(ctx context.Context, user domain.User, line domain.Line) (domain.Cart, error) {
	products, err := s.Catalog.Products(ctx, line.SKU)
	if err != nil {
		return domain.Cart{}, fmt.Errorf("catalog: %w", err)
	}
	if len(products) == 0 {
		return domain.Cart{}, fmt.Errorf("%s: %w", line.SKU, domain.ErrUnknownProduct)
	}
	return s.Carts.Add(ctx, user, line)
}
