package domain

import (
	"errors"
	"fmt"
	"regexp"
)

// SKU names a product: lower-case letters, digits and dashes, at most 40.
type SKU string

// User names a customer. The shop has no accounts: whoever says a name has it.
type User string

// Product is one thing that is sold.
type Product struct {
	SKU   SKU
	Name  string
	Icon  string
	Price Money
}

// Errors of names.
var (
	ErrBadName        = errors.New("want 1 to 40 lower-case letters, digits or dashes")
	ErrUnknownProduct = errors.New("no such product")
)

var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// ParseSKU checks the name of a product.
func ParseSKU(s string) (SKU, error) {
	if !namePattern.MatchString(s) {
		return "", fmt.Errorf("product %q: %w", s, ErrBadName)
	}
	return SKU(s), nil
}

// ParseUser checks the name of a customer.
func ParseUser(s string) (User, error) {
	if !namePattern.MatchString(s) {
		return "", fmt.Errorf("user %q: %w", s, ErrBadName)
	}
	return User(s), nil
}
