package domain_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/tatami-platform/tatami/examples/shop/internal/domain"
)

func TestPrice(t *testing.T) {
	products := []domain.Product{
		{SKU: "cup", Name: "Cup", Price: 11*domain.Dollar + 40*domain.Cent},
		{SKU: "mat", Name: "Mat", Price: 129 * domain.Dollar},
		{SKU: "gem", Name: "Gem", Price: math.MaxInt64 / 2},
	}
	tests := []struct {
		name      string
		lines     []domain.Line
		total     string
		shipping  string
		discounts string
		wantErr   error
	}{
		{"one piece pays shipping", []domain.Line{{"cup", 1}}, "$16.30", "$4.90", "$0.00", nil},
		{"large order ships for free", []domain.Line{{"mat", 1}}, "$129.00", "$0.00", "$0.00", nil},
		{"just below bulk", []domain.Line{{"cup", 9}}, "$102.60", "$0.00", "$0.00", nil},
		{"bulk", []domain.Line{{"cup", 10}}, "$108.30", "$0.00", "$5.70", nil},
		{"bulk counts per product", []domain.Line{{"cup", 5}, {"mat", 5}}, "$702.00", "$0.00", "$0.00", nil},
		{"empty", nil, "", "", "", domain.ErrCartEmpty},
		{"no longer sold", []domain.Line{{"cup", 1}, {"hat", 1}}, "", "", "", domain.ErrUnknownProduct},
		{"a line too dear", []domain.Line{{"gem", 3}}, "", "", "", domain.ErrOverflow},
		{"a sum too dear", []domain.Line{{"gem", 2}, {"mat", 1}}, "", "", "", domain.ErrOverflow},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			order, err := domain.Price(domain.Cart{User: "ana", Lines: tt.lines}, products)
			if !errors.Is(err, tt.wantErr) {
				t.Fatalf("error %v, want %v", err, tt.wantErr)
			}
			if err != nil {
				return
			}
			var discounts domain.Money
			for _, line := range order.Lines {
				discounts += line.Discount
			}
			got := []string{order.Total.String(), order.Shipping.String(), discounts.String()}
			want := []string{tt.total, tt.shipping, tt.discounts}
			if strings.Join(got, " ") != strings.Join(want, " ") {
				t.Errorf("total, shipping, discounts: got %v, want %v", got, want)
			}
		})
	}
}

// TestPartsSumToTheWhole, and one piece more never makes the goods cheaper.
func TestPartsSumToTheWhole(t *testing.T) {
	random := seeded(t)
	for range 5_000 {
		var products []domain.Product
		cart := domain.Cart{User: "ana"}
		for i := range 1 + random.IntN(5) {
			sku := domain.SKU(rune('a' + i))
			// Prices are whole cents; discounts are rounded to them.
			price := domain.Cent * domain.Money(random.IntN(1+random.IntN(20_000)))
			products = append(products, domain.Product{SKU: sku, Price: price})
			cart.Lines = append(cart.Lines, domain.Line{SKU: sku, Quantity: 1 + random.IntN(domain.MaxQuantity-1)})
		}
		order, err := domain.Price(cart, products)
		if err != nil {
			t.Fatal(err)
		}
		goods := goodsOf(t, order, cart)
		if goods+order.Shipping != order.Total {
			t.Fatalf("%s goods and %s shipping make %s", goods, order.Shipping, order.Total)
		}
		cart.Lines[0].Quantity++
		more, err := domain.Price(cart, products)
		if err != nil {
			t.Fatal(err)
		}
		// The price per piece falls by a twentieth at the bulk threshold, where
		// a tenth is added: the line can only grow.
		if goodsOf(t, more, cart) < goods {
			t.Fatalf("%v: one piece more costs less: %s before, %s after", cart.Lines, goods, more.Total-more.Shipping)
		}
	}
}

func goodsOf(t *testing.T, order domain.Order, cart domain.Cart) domain.Money {
	t.Helper()
	var goods domain.Money
	for i, line := range order.Lines {
		if line.Line != cart.Lines[i] {
			t.Fatalf("line %d is %v, want %v", i, line.Line, cart.Lines[i])
		}
		if line.UnitPrice*domain.Money(line.Quantity)-line.Discount != line.Total || line.Total < 0 {
			t.Fatalf("line does not add up: %+v", line)
		}
		goods += line.Total
	}
	return goods
}

func TestOrderID(t *testing.T) {
	id := func(user domain.User, key string) domain.OrderID {
		t.Helper()
		got, err := domain.NewOrderID(user, key)
		if err != nil || len(got) != 32 {
			t.Fatalf("%s/%s: %q, %v", user, key, got, err)
		}
		return got
	}
	if first, again := id("ana", "k"), id("ana", "k"); first != again {
		t.Error("the same request names two orders")
	}
	if id("ana", "k") == id("bob", "k") || id("ana", "k") == id("ana", "l") || id("a", "bk") == id("ab", "k") {
		t.Error("different requests name one order")
	}
	for _, key := range []string{"", strings.Repeat("k", 129)} {
		if _, err := domain.NewOrderID("ana", key); !errors.Is(err, domain.ErrBadKey) {
			t.Errorf("key of %d: %v", len(key), err)
		}
	}
}
