// Program gendocs writes the command reference and the man pages from the
// command tree of internal/cli.
//
// In: the docs folder. Out: reference/commands.md and man/*.1 in it, the same
// for the same code: no dates, no versions. It never runs a verb. Started by
// `go generate ./internal/cli`; its test fails while the files differ from the
// code. Read main.go next.
package main
