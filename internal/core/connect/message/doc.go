// Package message is the vocabulary of HTTP messages that codecs, routes and the
// exchange share: heads, fields and the names that matter to a proxy.
//
// In and out are values; strings may alias a connection's buffer and are valid
// as long as their exchange lasts. It never parses or writes. Source: RFC 9110.
// Read next: head.go.
package message
