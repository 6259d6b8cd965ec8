package app_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tatami-platform/tatami/examples/shop/internal/adapter/memory"
	"github.com/tatami-platform/tatami/examples/shop/internal/app"
	"github.com/tatami-platform/tatami/examples/shop/internal/domain"
)

var errBroken = errors.New("broken on purpose")

// books is a queue with its memories that can break before or after any step:
// after means that the step was done and the answer got lost.
type books struct {
	mu        sync.Mutex
	claims    map[domain.OrderID]domain.Order
	queue     []domain.Order
	fulfilled map[domain.OrderID]int
	breakAt   string
}

func newBooks() *books {
	return &books{claims: map[domain.OrderID]domain.Order{}, fulfilled: map[domain.OrderID]int{}}
}

// step breaks once.
func (b *books) step(name string) error {
	if b.breakAt != name {
		return nil
	}
	b.breakAt = ""
	return errBroken
}

func (b *books) Find(_ context.Context, id domain.OrderID) (domain.Order, error) {
	if order, ok := b.claims[id]; ok {
		return order, nil
	}
	return domain.Order{}, app.ErrNotFound
}

func (b *books) Claim(_ context.Context, order domain.Order) (domain.Order, error) {
	if err := b.step("before claim"); err != nil {
		return domain.Order{}, err
	}
	if first, ok := b.claims[order.ID]; ok {
		return first, nil
	}
	b.claims[order.ID] = order
	return order, b.step("after claim")
}

func (b *books) Publish(_ context.Context, order domain.Order) (bool, error) {
	if err := b.step("before publish"); err != nil {
		return false, err
	}
	for _, o := range b.queue {
		if o.ID == order.ID {
			return true, nil
		}
	}
	b.queue = append(b.queue, order)
	return false, b.step("after publish")
}

func (b *books) Fulfilled(_ context.Context, id domain.OrderID) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.fulfilled[id] > 0, nil
}

func (b *books) Record(_ context.Context, id domain.OrderID) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fulfilled[id] > 0 {
		return false, nil
	}
	b.fulfilled[id]++
	return true, nil
}

// brokenSettle is a cart service that fails to settle once.
type brokenSettle struct {
	*memory.Carts

	books *books
}

func (c brokenSettle) Settle(ctx context.Context, user domain.User, id domain.OrderID, lines []domain.Line) error {
	if err := c.books.step("before settle"); err != nil {
		return err
	}
	return c.Carts.Settle(ctx, user, id, lines)
}

func newCashier(t *testing.T, b *books) (*app.Cashier, *memory.Carts) {
	t.Helper()
	carts := memory.NewCarts(100, func() {})
	if _, err := carts.Add(t.Context(), "ana", domain.Line{SKU: "matcha", Quantity: 2}); err != nil {
		t.Fatal(err)
	}
	placed := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	return &app.Cashier{
		Carts: brokenSettle{carts, b}, Catalog: memory.NewProducts(), Orders: b,
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return placed },
	}, carts
}

// TestRepeatedCheckoutIsOneOrder breaks the checkout at every step and repeats
// it, after the customer has put something else into the cart.
func TestRepeatedCheckoutIsOneOrder(t *testing.T) {
	for _, broken := range []string{
		"", "before claim", "after claim", "before publish", "after publish", "before settle",
	} {
		t.Run("broken "+broken, func(t *testing.T) {
			b := newBooks()
			cashier, carts := newCashier(t, b)
			b.breakAt = broken
			first, err := cashier.Checkout(t.Context(), "ana", "k")
			refused := broken != "" && broken != "before settle"
			if (err != nil) != refused {
				t.Fatalf("first: %v", err)
			}
			claimed := len(b.claims) == 1
			if _, err := carts.Add(t.Context(), "ana", domain.Line{SKU: "incense", Quantity: 1}); err != nil {
				t.Fatal(err)
			}
			again, err := cashier.Checkout(t.Context(), "ana", "k")
			if err != nil {
				t.Fatalf("again: %v", err)
			}
			if len(b.queue) != 1 {
				t.Fatalf("%d orders queued, want 1", len(b.queue))
			}
			if !refused && !cmp.Equal(first.Order, again.Order) {
				t.Errorf("two answers: %s", cmp.Diff(first.Order, again.Order))
			}
			wantLeft := []domain.Line{{SKU: "incense", Quantity: 1}}
			if !claimed { // Then the second attempt was the first to read the cart.
				wantLeft = nil
			}
			cart, _ := carts.Cart(t.Context(), "ana")
			if diff := cmp.Diff(wantLeft, cart.Lines); diff != "" {
				t.Errorf("cart afterwards: %s", diff)
			}
			if got := again.Duplicate; got != (broken == "" || broken == "after publish" || broken == "before settle") {
				t.Errorf("duplicate %v", got)
			}
		})
	}
}

func TestCheckoutRefuses(t *testing.T) {
	cashier, carts := newCashier(t, newBooks())
	if _, err := cashier.Checkout(t.Context(), "bob", "k"); !errors.Is(err, domain.ErrCartEmpty) {
		t.Errorf("empty cart: %v", err)
	}
	if _, err := cashier.Checkout(t.Context(), "ana", ""); !errors.Is(err, domain.ErrBadKey) {
		t.Errorf("no key: %v", err)
	}
	if _, err := carts.Add(t.Context(), "eve", domain.Line{SKU: "hat", Quantity: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := cashier.Checkout(t.Context(), "eve", "k"); !errors.Is(err, domain.ErrUnknownProduct) {
		t.Errorf("not sold: %v", err)
	}
}

// TestFulfilOnce delivers each order several times at the same time.
func TestFulfilOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBooks()
		fulfiller := &app.Fulfiller{Ledger: b, WorkTime: time.Minute}
		firsts := make(chan bool, 5)
		start := time.Now()
		for range 5 {
			go func() {
				first, err := fulfiller.Fulfil(t.Context(), domain.Order{ID: "o"})
				firsts <- first && err == nil
			}()
		}
		total := 0
		for range 5 {
			if <-firsts {
				total++
			}
		}
		if total != 1 || time.Since(start) != time.Minute {
			t.Errorf("%d of 5 deliveries were the first, after %s", total, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if first, err := fulfiller.Fulfil(ctx, domain.Order{ID: "late"}); first || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("broken off: first %v, %v", first, err)
		}
		if b.fulfilled["late"] != 0 {
			t.Error("work that was broken off is in the ledger")
		}
	})
}

// down is a dependency that is away.
type down struct{ app.Carts }

func (down) Cart(context.Context, domain.User) (domain.Cart, error) {
	return domain.Cart{}, app.ErrUnavailable
}

func (down) Products(context.Context, ...domain.SKU) ([]domain.Product, error) {
	return nil, app.ErrUnavailable
}

func TestStorefront(t *testing.T) {
	carts := memory.NewCarts(10, func() {})
	log := slog.New(slog.DiscardHandler)
	store := &app.Storefront{Catalog: memory.NewProducts(), Carts: carts, Log: log}
	if _, err := store.Add(t.Context(), "ana", domain.Line{SKU: "hat", Quantity: 1}); !errors.Is(err, domain.ErrUnknownProduct) {
		t.Errorf("not sold: %v", err)
	}
	if _, err := store.Add(t.Context(), "ana", domain.Line{SKU: "rice-bowl", Quantity: 2}); err != nil {
		t.Fatal(err)
	}
	view, err := store.View(t.Context(), "ana")
	if err != nil || view.Quote == nil || view.Quote.Total != 28*domain.Dollar+90*domain.Cent || view.CartDown {
		t.Errorf("view %+v, %v", view, err)
	}
	if view, err = store.View(t.Context(), "bob"); err != nil || view.Quote != nil || view.CartDown {
		t.Errorf("empty cart: %+v, %v", view, err)
	}
	store.Carts = down{}
	if view, err = store.View(t.Context(), "ana"); err != nil || !view.CartDown || len(view.Products) == 0 {
		t.Errorf("cart down: %+v, %v", view, err)
	}
	store.Catalog = down{}
	if _, err = store.View(t.Context(), "ana"); !errors.Is(err, app.ErrUnavailable) {
		t.Errorf("catalog down: %v", err)
	}
}
