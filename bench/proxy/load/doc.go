// Package load asks a server for answers and measures how long each one takes.
//
// In: an address, what to ask, how many times, on how many connections, and
// either as fast as answers come or at a rate in requests per second. Out: a
// [Result] with the time of every request. Any answer that is not the expected
// one, in status or in length, ends the run with an error: an erring proxy must
// not look fast. It never retries and never starts a server. Latency at a rate
// counts from when a request was due (Tene, "How NOT to measure latency").
// Read plan.go, then response.go; loop_linux.go is the plain path.
package load
