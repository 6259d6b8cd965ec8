// Package record says what the engine knows about one request when it is over:
// the one value that metrics, access log and span are made from.
//
// In and out are values: times in nanoseconds, sizes in bytes, strings that may
// alias a connection's buffer. It never keeps, formats or sends anything.
// Source: the attributes of OpenTelemetry's HTTP conventions and the response
// flags that proxies of this kind log. Read next: record.go, then flag.go.
package record
