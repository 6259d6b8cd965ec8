package domain

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// OrderID names an order: 32 hexadecimal digits.
type OrderID string

// OrderLine is a priced line. Total is Quantity times UnitPrice less Discount.
type OrderLine struct {
	Line

	Name      string
	UnitPrice Money
	Discount  Money
	Total     Money
}

// Order is a priced cart. Total is the sum of the line totals plus Shipping.
type Order struct {
	ID       OrderID
	User     User
	Lines    []OrderLine
	Shipping Money
	Total    Money
	PlacedAt time.Time
}

// ErrBadKey means that an idempotency key is missing or too long.
var ErrBadKey = errors.New("want an idempotency key of 1 to 128 characters")

// NewOrderID derives the identity of an order from its customer and the
// idempotency key, so that a repeated request names the same order.
func NewOrderID(user User, key string) (OrderID, error) {
	if key == "" || len(key) > 128 {
		return "", fmt.Errorf("key of %d characters: %w", len(key), ErrBadKey)
	}
	// A user never holds a newline, so the two parts cannot run into each other.
	sum := sha256.Sum256([]byte(string(user) + "\n" + key))
	return OrderID(hex.EncodeToString(sum[:16])), nil
}

// CartLines returns what the order takes out of the cart.
func (o Order) CartLines() []Line {
	lines := make([]Line, 0, len(o.Lines))
	for _, l := range o.Lines {
		lines = append(lines, l.Line)
	}
	return lines
}
