// Package relay accepts connections, and copies bytes between two of them in
// both directions.
//
// In: two connections. Out: both closed. A half-close on one side is passed on
// to the other, so that protocols which end their requests by it work. It never
// looks at the bytes. Read relay.go next.
package relay
