// Package smuggling is a table of requests that two readers could read in two
// ways, with the answer that a strict proxy gives to each.
//
// In: nothing. Out: cases, as raw bytes, the expected status, and what a backend
// may get to see. It never sends anything: the tests of http1 and the conformance
// module do. Source: RFC 9110, RFC 9112 and published attacks. Read next: table.txt.
package smuggling
