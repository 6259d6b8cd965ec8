package cli

import (
	"context"
	"io"
	"time"

	"github.com/tatami-platform/tatami/internal/control"
)

// Deps is what the verbs work with.
type Deps struct {
	// Platform runs clusters; nil in the small program, whose verbs then call
	// Handover.
	Platform control.Platform
	// Images makes and reads image archives.
	Images control.Images
	// Workloads reads demand from manifests and clusters.
	Workloads control.Workloads
	// Catalog asks a cloud for its types and prices.
	Catalog control.Catalog
	// Handover runs the same command line in the full program and returns its
	// exit code.
	Handover func(ctx context.Context) (int, error)
	Streams  Streams
	Info     Info
	// Name is how people call the program: "tatami" or "kubectl tatami".
	Name string
	// Now is the clock by which steps are timed.
	Now func() time.Time
	// TempDir holds archives on their way into a cluster.
	TempDir string
}

// Info says which program this is.
type Info struct {
	// Version of Tatami, e.g. v0.1.0.
	Version string
	// Commit that it was built from.
	Commit string
	// Kubernetes is the version that is embedded; empty in the small program.
	Kubernetes string
	// GoVersion and HostPlatform are filled in by internal/app.
	GoVersion    string
	HostPlatform string
}

// Streams are the three of the process.
type Streams struct {
	In  io.Reader
	Out Console
	Err Console
}

// Console is a stream for people and what it can show.
type Console struct {
	io.Writer
	// Width of the terminal in columns; 0 when it is not a terminal.
	Width int
	// Color says whether text may be coloured.
	Color bool
}

// terminal says whether lines can be redrawn.
func (c Console) terminal() bool { return c.Width > 0 }

// The colours, by meaning.
const (
	styleGood = "32"
	styleWarn = "33"
	styleBad  = "31"
	styleHead = "1"
	styleFade = "2"
)

// paint colours text where the console allows.
func (c Console) paint(style, text string) string {
	if !c.Color || text == "" {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}
