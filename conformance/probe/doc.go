// Probe is the program that the pods of the node tests run: a server that tells
// what it sees, and small commands for everything else.
//
// In: arguments and a few variables of the environment. Out: HTTP, UDP, TCP and
// gRPC answers, lines on stdout, an exit code. It is static, so that its image
// needs nothing else. It never does anything unasked and never leaves its pod's
// network by itself. Read server.go for what can be asked of a running one, and
// commands.go for the rest.
package main
