package main

import (
	"os"

	"github.com/tatami-platform/tatami/internal/app"
	"github.com/tatami-platform/tatami/internal/cli"
)

// version is set by the linker when a release is built.
var version string

func main() {
	os.Exit(app.Main(app.Program{Info: cli.Info{Version: version}}))
}
