// Package rules holds what RFC 9110, 9112 and 9113 ask of an intermediary as
// tables: each row names its section, sends a request and an answer byte by byte,
// and says what the backend and the client must see.
//
// In: a real tatami-proxy, raw clients and backends of HTTP/1.1 and HTTP/2. Out: a
// failed test per rule that is broken. It never tests what a user agent or an
// origin must do. Read harness_test.go, then request_test.go.
package rules
