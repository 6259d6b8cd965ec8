// Package domain holds the rules of the shop: what a product costs, what a cart
// may hold, how a cart becomes a priced order.
//
// In: carts and products; out: orders and errors. Amounts are [Money] in
// nano-USD, quantities are pieces, time comes in as an argument.
// It imports only the standard library and never does I/O, reads a clock or
// knows a wire format. Read money.go, then pricing.go.
package domain
