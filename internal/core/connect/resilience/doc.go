// Package resilience decides what a proxy does when backends fail or are too
// slow: which are left alone and for how long, what is asked again, and what is
// refused so that the rest is answered in time.
//
// In: outcomes, a monotonic time in nanoseconds and random numbers, all as
// arguments. Out: verdicts and changes as values. All state is atomic, so event
// loops share it without locks; nothing on the way of a request allocates.
//
// It never reads a clock, draws a random number, sleeps or logs. Sources are named
// where they are used (RFC 9110 and 9113, CoDel, gradient limits, BBR).
// Read next: failure.go, then outlier.go and retry.go.
package resilience
