// Package httpapi speaks HTTP for the shop: the handlers of web, cart and
// checkout, the page, and the clients that the roles use to reach each other.
//
// In and out: JSON of package wire, forms from the page. Timeouts are
// durations; bodies are at most 16 KiB. It never decides a price or keeps
// state. Read web.go, then client.go for what is retried and what is not.
package httpapi
