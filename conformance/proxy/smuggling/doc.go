// Package smuggling holds that everybody in a chain sees the same requests: what
// tatami-proxy refuses reaches no origin, and what it passes on is one request with
// one method, target, host and body for every origin.
//
// In: the table of internal/proxy/http1/smuggling, random requests with a printed
// seed, and raw HTTP/2 frames; HAProxy, nginx, nghttpx and Go's net/http as origins
// and as fronts. Out: test results. It never changes the program to make it pass.
// Read next: site_test.go, table_test.go.
package smuggling
