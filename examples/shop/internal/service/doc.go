// Package service is the life of a role's process: it starts components,
// answers health checks and metrics on a port of its own, and ends in order.
//
// In: components and checks; durations for draining and stopping. Out: a
// process that stops within them on cancellation and loses no work in hand.
// It never knows what a role does. Read process.go, then admin.go.
package service
