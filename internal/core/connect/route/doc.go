// Package route says which rule a request takes and what the rule does with it.
// In: a connect.Config, once per change, and then heads of messages. Out: an
// immutable Table; per request a Rule and, where asked, an edited head.
//
// Matching takes no lock and no memory; times are nanoseconds and random numbers
// arguments. It never reads or writes a connection and never picks an endpoint.
// Source: Gateway API 1.6, RFC 3986, RFC 9110. Read next: table.go, then match.go.
package route
