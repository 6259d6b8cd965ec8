// Package accesslog writes one line for each request that is over, as JSON or
// text, without making the event loop wait.
//
// In: a record.Record, times in nanoseconds, sizes in bytes. Out: lines to an
// io.Writer, written by one goroutine; where it is too slow, lines are dropped and
// counted. No client can break a line, forge one, or reach a terminal with
// control characters. It never keeps a query string unless asked to.
// Read logger.go, then json.go, text.go and escape.go.
package accesslog
