package domain

import "fmt"

// The price rules: a product bought in bulk is cheaper, and a large order
// ships for free.
const (
	bulkQuantity     = 10
	bulkPercent      = 5
	shippingFee      = 4*Dollar + 90*Cent
	freeShippingFrom = 60 * Dollar
)

// Price turns a cart into the lines, the shipping and the total of an order,
// at the prices of the products given. ErrCartEmpty, ErrUnknownProduct and
// ErrOverflow say why there is no price. O(lines + products).
func Price(cart Cart, products []Product) (Order, error) {
	if len(cart.Lines) == 0 {
		return Order{}, ErrCartEmpty
	}
	bySKU := make(map[SKU]Product, len(products))
	for _, p := range products {
		bySKU[p.SKU] = p
	}
	order := Order{User: cart.User, Lines: make([]OrderLine, 0, len(cart.Lines))}
	for _, line := range cart.Lines {
		product, found := bySKU[line.SKU]
		if !found {
			return Order{}, fmt.Errorf("%s: %w", line.SKU, ErrUnknownProduct)
		}
		priced, err := priceLine(line, product)
		if err != nil {
			return Order{}, err
		}
		if order.Total, err = order.Total.Add(priced.Total); err != nil {
			return Order{}, err
		}
		order.Lines = append(order.Lines, priced)
	}
	if order.Total < freeShippingFrom {
		order.Shipping = shippingFee
		order.Total += shippingFee // Below the threshold it cannot overflow.
	}
	return order, nil
}

func priceLine(line Line, product Product) (OrderLine, error) {
	full, err := product.Price.Times(line.Quantity)
	if err != nil {
		return OrderLine{}, fmt.Errorf("%s: %w", line.SKU, err)
	}
	priced := OrderLine{Line: line, Name: product.Name, UnitPrice: product.Price}
	if line.Quantity >= bulkQuantity {
		priced.Discount = full.PercentDown(bulkPercent)
	}
	priced.Total = full - priced.Discount
	return priced, nil
}
