package domain_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tatami-platform/tatami/examples/shop/internal/domain"
)

func TestAdd(t *testing.T) {
	full := domain.Cart{User: "ana"}
	for i := range domain.MaxLines {
		full.Lines = append(full.Lines, domain.Line{SKU: domain.SKU(fmt.Sprint("p", i)), Quantity: 1})
	}
	tests := []struct {
		name     string
		cart     domain.Cart
		sku      domain.SKU
		quantity int
		want     []domain.Line
		wantErr  error
	}{
		{"first", domain.Cart{}, "cup", 2, []domain.Line{{"cup", 2}}, nil},
		{"more of the same", domain.Cart{Lines: []domain.Line{{"cup", 2}, {"mat", 1}}}, "cup", 3, []domain.Line{{"cup", 5}, {"mat", 1}}, nil},
		{"up to the limit", domain.Cart{Lines: []domain.Line{{"cup", 98}}}, "cup", 1, []domain.Line{{"cup", 99}}, nil},
		{"beyond the limit", domain.Cart{Lines: []domain.Line{{"cup", 98}}}, "cup", 2, nil, domain.ErrBadQuantity},
		{"none", domain.Cart{}, "cup", 0, nil, domain.ErrBadQuantity},
		{"fewer than none", domain.Cart{}, "cup", -1, nil, domain.ErrBadQuantity},
		{"too many", domain.Cart{}, "cup", 100, nil, domain.ErrBadQuantity},
		{"too many products", full, "cup", 1, nil, domain.ErrCartFull},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := append([]domain.Line(nil), tt.cart.Lines...)
			got, err := tt.cart.Add(tt.sku, tt.quantity)
			if !errors.Is(err, tt.wantErr) {
				t.Fatalf("error %v, want %v", err, tt.wantErr)
			}
			if diff := cmp.Diff(before, tt.cart.Lines); diff != "" {
				t.Errorf("the original changed: %s", diff)
			}
			if err == nil && !cmp.Equal(got.Lines, tt.want) {
				t.Errorf("got %v, want %v", got.Lines, tt.want)
			}
		})
	}
}

// TestSettleIsIdempotent: whatever is in the cart, taking an order out twice is
// taking it out once, and nothing that was not ordered goes.
func TestSettleIsIdempotent(t *testing.T) {
	random := seeded(t)
	skus := []domain.SKU{"cup", "mat", "tea", "box"}
	for range 2_000 {
		cart, ordered := domain.Cart{User: "ana"}, []domain.Line{}
		want := map[domain.SKU]int{}
		for _, sku := range skus {
			held, taken := random.IntN(6), random.IntN(6)
			if held > 0 {
				cart.Lines = append(cart.Lines, domain.Line{SKU: sku, Quantity: held})
			}
			if taken > 0 {
				ordered = append(ordered, domain.Line{SKU: sku, Quantity: taken})
			}
			if held > taken {
				want[sku] = held - taken
			}
		}
		once := cart.Settle("o1", ordered)
		got := map[domain.SKU]int{}
		for _, line := range once.Lines {
			got[line.SKU] = line.Quantity
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%v less %v: %s", cart.Lines, ordered, diff)
		}
		again, err := once.Add("cup", 1)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(again, again.Settle("o1", ordered)); diff != "" {
			t.Fatalf("settled twice: %s", diff)
		}
	}
}

func TestSettleForgetsOldOrders(t *testing.T) {
	cart := domain.Cart{}
	for i := range 100 {
		cart = cart.Settle(domain.OrderID(fmt.Sprint(i)), nil)
	}
	if len(cart.Settled) > 10 || cart.Settled[len(cart.Settled)-1] != "99" {
		t.Errorf("remembers %v", cart.Settled)
	}
}

func TestNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"ana": true, "visitor-12": true, "9": true, strings.Repeat("a", 40): true,
		"": false, "Ana": false, "-a": false, "a b": false, "a/b": false, "é": false, "a\n": false,
		strings.Repeat("a", 41): false,
	} {
		_, userErr := domain.ParseUser(name)
		_, skuErr := domain.ParseSKU(name)
		if (userErr == nil) != ok || (skuErr == nil) != ok {
			t.Errorf("%q: user %v, sku %v, want ok %v", name, userErr, skuErr, ok)
		}
		if !ok && !errors.Is(userErr, domain.ErrBadName) {
			t.Errorf("%q: %v", name, userErr)
		}
	}
}
