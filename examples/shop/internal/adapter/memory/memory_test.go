package memory_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/tatami-platform/tatami/examples/shop/internal/adapter/memory"
	"github.com/tatami-platform/tatami/examples/shop/internal/domain"
)

func TestCartsDropTheLeastRecentlyUsed(t *testing.T) {
	evicted := 0
	carts := memory.NewCarts(2, func() { evicted++ })
	add := func(user domain.User) {
		t.Helper()
		if _, err := carts.Add(t.Context(), user, domain.Line{SKU: "cup", Quantity: 1}); err != nil {
			t.Fatal(err)
		}
	}
	lines := func(user domain.User) int {
		cart, err := carts.Cart(t.Context(), user)
		if err != nil {
			t.Fatal(err)
		}
		return len(cart.Lines)
	}
	add("ana")
	add("bob")
	_ = lines("ana") // Looking counts as use.
	add("eve")
	if lines("ana") != 1 || lines("bob") != 0 || lines("eve") != 1 || evicted != 1 || carts.Len() != 2 {
		t.Errorf("ana %d, bob %d, eve %d lines; %d evicted, %d kept",
			lines("ana"), lines("bob"), lines("eve"), evicted, carts.Len())
	}
	// Neither looking at a cart nor settling one that is gone makes one.
	if err := carts.Settle(t.Context(), "zoe", "o", nil); err != nil || carts.Len() != 2 {
		t.Errorf("%v, %d kept", err, carts.Len())
	}
}

func TestCartsUnderConcurrency(t *testing.T) {
	carts := memory.NewCarts(50, func() {})
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			user := domain.User(fmt.Sprint("u", i%4))
			if _, err := carts.Add(t.Context(), user, domain.Line{SKU: "cup", Quantity: 1}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for i := range 4 {
		cart, _ := carts.Cart(t.Context(), domain.User(fmt.Sprint("u", i)))
		if len(cart.Lines) != 1 || cart.Lines[0].Quantity != 10 {
			t.Errorf("u%d: %v, want 10 cups", i, cart.Lines)
		}
	}
}

func TestProducts(t *testing.T) {
	catalog := memory.NewProducts()
	all, err := catalog.Products(t.Context())
	if err != nil || len(all) < 10 {
		t.Fatalf("%d products, %v", len(all), err)
	}
	for _, p := range all {
		if _, err := domain.ParseSKU(string(p.SKU)); err != nil || p.Name == "" || p.Icon == "" || p.Price <= 0 || p.Price%domain.Cent != 0 {
			t.Errorf("bad product %+v: %v", p, err)
		}
	}
	if !slices.IsSortedFunc(all, func(a, b domain.Product) int {
		if a.SKU < b.SKU {
			return -1
		}
		return 1
	}) {
		t.Error("not sorted, or a SKU twice")
	}
	some, err := catalog.Products(t.Context(), "matcha", "hat")
	if err != nil || len(some) != 1 || some[0].SKU != "matcha" {
		t.Errorf("asked for matcha and hat: %v, %v", some, err)
	}
}
