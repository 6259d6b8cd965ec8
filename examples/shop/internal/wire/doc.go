// Package wire holds the JSON forms of the shop's values, as they travel over
// HTTP and on the queue, and the way from and to the domain.
//
// Amounts are integers in nano-USD, with a readable form beside them that is
// never read back; times are RFC 3339. It never does I/O or applies a rule.
// Read wire.go; it is the whole package.
package wire
