package domain

import (
	"errors"
	"fmt"
	"slices"
)

// Limits of a cart. Settled orders are remembered only as long as a repeated
// settlement is plausible.
const (
	MaxLines    = 50
	MaxQuantity = 99
	maxSettled  = 8
)

// Errors of a cart.
var (
	ErrBadQuantity = fmt.Errorf("quantity must be between 1 and %d", MaxQuantity)
	ErrCartFull    = fmt.Errorf("a cart holds at most %d products", MaxLines)
	ErrCartEmpty   = errors.New("the cart is empty")
)

// Line is a product and how many pieces of it.
type Line struct {
	SKU      SKU
	Quantity int
}

// Cart is what a customer wants. Its methods return a changed copy.
type Cart struct {
	User  User
	Lines []Line
	// Settled names the last orders that were taken out of this cart, so that
	// taking one out twice has no effect.
	Settled []OrderID
}

// Add puts pieces of a product into the cart. The order of lines is the order
// in which products were first added.
func (c Cart) Add(sku SKU, quantity int) (Cart, error) {
	if quantity < 1 || quantity > MaxQuantity {
		return c, fmt.Errorf("%d of %s: %w", quantity, sku, ErrBadQuantity)
	}
	lines := slices.Clone(c.Lines)
	at := slices.IndexFunc(lines, func(l Line) bool { return l.SKU == sku })
	switch {
	case at < 0 && len(lines) == MaxLines:
		return c, ErrCartFull
	case at < 0:
		lines = append(lines, Line{SKU: sku, Quantity: quantity})
	case lines[at].Quantity+quantity > MaxQuantity:
		return c, fmt.Errorf("%d more of %s: %w", quantity, sku, ErrBadQuantity)
	default:
		lines[at].Quantity += quantity
	}
	c.Lines = lines
	return c, nil
}

// Settle takes the lines of an order out of the cart, once per order. What was
// added after the order was priced stays.
func (c Cart) Settle(id OrderID, ordered []Line) Cart {
	if slices.Contains(c.Settled, id) {
		return c
	}
	var left []Line
	for _, line := range c.Lines {
		for _, o := range ordered {
			if o.SKU == line.SKU {
				line.Quantity -= o.Quantity
			}
		}
		if line.Quantity > 0 {
			left = append(left, line)
		}
	}
	c.Lines = left
	c.Settled = append(slices.Clone(c.Settled), id)
	if len(c.Settled) > maxSettled {
		c.Settled = c.Settled[len(c.Settled)-maxSettled:]
	}
	return c
}
