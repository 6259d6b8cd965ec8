// Package arch holds the rules of this repository that a compiler cannot: which
// ring may import which, how long functions and files may be, what every
// package says about itself, what the go.mod files may hold, and that
// ARCHITECTURE.md and the links in the documents agree with the tree.
//
// In: a file tree as fs.FS, all modules at once. Out: violations, with the file
// and a sentence. It parses the files itself and never runs the go command: a
// test that shells out keeps its cached PASS after a forbidden import is added.
// Exceptions stand in exceptions.go, each with its reason; one that is no longer
// needed fails. Source: ARCHITECTURE.md. Read rules.go, then rings.go.
package arch
