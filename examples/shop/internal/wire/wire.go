package wire

import (
	"time"

	"github.com/tatami-platform/tatami/examples/shop/internal/app"
	"github.com/tatami-platform/tatami/examples/shop/internal/domain"
)

// Product is a product on offer.
type Product struct {
	SKU          string `json:"sku"`
	Name         string `json:"name"`
	Icon         string `json:"icon"`
	PriceNanoUSD int64  `json:"price_nano_usd"`
	Price        string `json:"price"`
}

// Line is a product and a quantity.
type Line struct {
	SKU      string `json:"sku"`
	Quantity int    `json:"quantity"`
}

// Cart is a customer's cart.
type Cart struct {
	User  string `json:"user"`
	Lines []Line `json:"lines"`
}

// Settlement is the lines of an order that leave a cart.
type Settlement struct {
	Lines []Line `json:"lines"`
}

// OrderLine is a priced line.
type OrderLine struct {
	SKU             string `json:"sku"`
	Name            string `json:"name"`
	Quantity        int    `json:"quantity"`
	UnitNanoUSD     int64  `json:"unit_nano_usd"`
	DiscountNanoUSD int64  `json:"discount_nano_usd"`
	TotalNanoUSD    int64  `json:"total_nano_usd"`
}

// Order is a priced cart.
type Order struct {
	ID              string      `json:"id"`
	User            string      `json:"user"`
	Lines           []OrderLine `json:"lines"`
	ShippingNanoUSD int64       `json:"shipping_nano_usd"`
	TotalNanoUSD    int64       `json:"total_nano_usd"`
	Total           string      `json:"total"`
	PlacedAt        time.Time   `json:"placed_at"`
}

// Receipt answers a checkout.
type Receipt struct {
	Order     Order `json:"order"`
	Duplicate bool  `json:"duplicate"`
}

// Error answers a request that could not be served. Code is stable.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// FromProducts writes products.
func FromProducts(products []domain.Product) []Product {
	out := make([]Product, 0, len(products))
	for _, p := range products {
		out = append(out, Product{string(p.SKU), p.Name, p.Icon, int64(p.Price), p.Price.String()})
	}
	return out
}

// FromLines writes lines.
func FromLines(lines []domain.Line) []Line {
	out := make([]Line, 0, len(lines))
	for _, l := range lines {
		out = append(out, Line{string(l.SKU), l.Quantity})
	}
	return out
}

// ToLines reads lines.
func ToLines(lines []Line) []domain.Line {
	out := make([]domain.Line, 0, len(lines))
	for _, l := range lines {
		out = append(out, domain.Line{SKU: domain.SKU(l.SKU), Quantity: l.Quantity})
	}
	return out
}

// FromCart writes a cart without its memory of settled orders.
func FromCart(c domain.Cart) Cart {
	return Cart{User: string(c.User), Lines: FromLines(c.Lines)}
}

// ToCart reads a cart.
func ToCart(c Cart) domain.Cart {
	return domain.Cart{User: domain.User(c.User), Lines: ToLines(c.Lines)}
}

// FromOrder writes an order.
func FromOrder(o domain.Order) Order {
	out := Order{
		ID: string(o.ID), User: string(o.User), Lines: make([]OrderLine, 0, len(o.Lines)),
		ShippingNanoUSD: int64(o.Shipping), TotalNanoUSD: int64(o.Total),
		Total: o.Total.String(), PlacedAt: o.PlacedAt,
	}
	for _, l := range o.Lines {
		out.Lines = append(out.Lines, OrderLine{
			SKU: string(l.SKU), Name: l.Name, Quantity: l.Quantity, UnitNanoUSD: int64(l.UnitPrice),
			DiscountNanoUSD: int64(l.Discount), TotalNanoUSD: int64(l.Total),
		})
	}
	return out
}

// ToOrder reads an order.
func ToOrder(o Order) domain.Order {
	out := domain.Order{
		ID: domain.OrderID(o.ID), User: domain.User(o.User), Lines: make([]domain.OrderLine, 0, len(o.Lines)),
		Shipping: domain.Money(o.ShippingNanoUSD), Total: domain.Money(o.TotalNanoUSD), PlacedAt: o.PlacedAt,
	}
	for _, l := range o.Lines {
		out.Lines = append(out.Lines, domain.OrderLine{
			Line: domain.Line{SKU: domain.SKU(l.SKU), Quantity: l.Quantity},
			Name: l.Name, UnitPrice: domain.Money(l.UnitNanoUSD),
			Discount: domain.Money(l.DiscountNanoUSD), Total: domain.Money(l.TotalNanoUSD),
		})
	}
	return out
}

// FromReceipt writes a receipt.
func FromReceipt(r app.Receipt) Receipt {
	return Receipt{Order: FromOrder(r.Order), Duplicate: r.Duplicate}
}

// ToReceipt reads a receipt.
func ToReceipt(r Receipt) app.Receipt {
	return app.Receipt{Order: ToOrder(r.Order), Duplicate: r.Duplicate}
}
