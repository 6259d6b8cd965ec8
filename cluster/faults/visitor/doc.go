// Visitor is the program in the pods of the egress test: it goes where it is
// told, and says what it met.
//
// In: arguments in pairs, a verb and its target. Out: one JSON line for each
// pair, with the time it took; an error is an answer as well, so the exit code
// says only that the arguments were understood. It is static and has no
// dependency, so that its image is small. It never listens. Read verbs.go.
package main
