// Package memory keeps the shop's carts and its range of products in memory.
//
// In and out: domain values. The number of carts is bounded; the cart that was
// not used for longest goes first. Nothing survives a restart, by choice.
// It never does I/O. Read carts.go, then products.go.
package memory
