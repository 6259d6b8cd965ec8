// Package chaos holds that tatami-proxy stays whole among backends and clients
// that misbehave: no hang, no leak, no wrong body, and no error that a client
// could not have seen without a proxy.
//
// In: a real tatami-proxy; backends that die, hang, reset, truncate and lie, and
// clients that do no better, under load at a rate. Out: test results, with the
// rate that the machine carried. Randomness has a fixed seed that is printed. It
// never changes the program to make it pass. Read next: faults_test.go, storm_test.go.
package chaos
