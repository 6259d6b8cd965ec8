// Package traffic makes load: how many requests per second a pattern asks for
// at a moment, and the open-loop generator that sends customers accordingly.
//
// In: a pattern (requests per second, durations) and a shop to visit; out:
// visits, one observation per request. Arrivals never wait for answers.
// It never speaks HTTP. Read pattern.go, then generator.go and visit.go.
package traffic
