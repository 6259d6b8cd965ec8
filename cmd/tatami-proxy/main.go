package main

import (
	"os"

	"github.com/tatami-platform/tatami/internal/proxy/program"
)

// version is set by the linker when a release is built.
var version string

func main() {
	os.Exit(program.Main(os.Args[1:], program.IO{Out: os.Stdout, Err: os.Stderr, Version: version}))
}
