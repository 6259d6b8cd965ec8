// Command progress runs `go build` and shows how far it is: packages compiled
// of those that the build cache lacks, and the time so far.
//
// In: a label, the folder of the module, the arguments of go build. Out: on a
// terminal one line that is redrawn, elsewhere a line every 30 s; then one
// closing line. A build that finds all in the cache prints that line only.
// It never changes what is built: the arguments reach go build as they are.
// Read main.go, then meter.go.
package main
