package app

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/tatami-platform/tatami/internal/adapter/ec2"
	"github.com/tatami-platform/tatami/internal/adapter/kube"
	"github.com/tatami-platform/tatami/internal/adapter/kube/chart"
	"github.com/tatami-platform/tatami/internal/adapter/oci"
	"github.com/tatami-platform/tatami/internal/cli"
	"github.com/tatami-platform/tatami/internal/control"
)

// Program is what tells the programs apart.
type Program struct {
	// Platform runs clusters; nil makes the small program, which hands over.
	Platform control.Platform
	// Info about the program. What is empty is taken from the build information
	// in the binary, as far as it is there.
	Info cli.Info
}

// Main runs the command line of this process and returns its exit code.
//
// SIGINT and SIGTERM end the context, and with it the verb; the exit code is
// then 130. A second signal kills the process, for when a verb does not stop.
func Main(p Program) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// After the first signal the default action is back.
	defer context.AfterFunc(ctx, stop)()
	if p.Platform != nil {
		// Arrived: what this program starts must be able to hand over again.
		_ = os.Unsetenv(guard)
	}
	return cli.Run(ctx, cli.Deps{
		Platform:  p.Platform,
		Images:    oci.Images{},
		Workloads: kube.Workloads{Now: time.Now, Charts: chart.Render},
		Catalog:   ec2.Catalog{Now: time.Now},
		Handover:  func(ctx context.Context) (int, error) { return handover(ctx, processEnv()) },
		Streams: cli.Streams{
			In:  os.Stdin,
			Out: console(os.Stdout),
			Err: console(os.Stderr),
		},
		Info:    complete(p.Info),
		Name:    displayName(os.Args),
		Now:     time.Now,
		TempDir: os.TempDir(),
	}, os.Args[1:])
}

// displayName is how people call the program: kubectl runs its plugins by
// their file name.
func displayName(args []string) string {
	if len(args) > 0 && strings.HasPrefix(filepath.Base(args[0]), "kubectl-") {
		return "kubectl tatami"
	}
	return "tatami"
}

// console learns what a stream can show. Colour follows https://no-color.org.
func console(f *os.File) cli.Console {
	c := cli.Console{Writer: f}

	dumb, plain := os.Getenv("TERM") == "dumb", os.Getenv("NO_COLOR") != ""
	if !term.IsTerminal(int(f.Fd())) || dumb {
		return c
	}
	c.Color = !plain
	c.Width = defaultWidth
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
		c.Width = width
	}
	return c
}

// defaultWidth is for terminals that don't say how wide they are.
const defaultWidth = 80

// complete fills in what the linker did not set.
func complete(info cli.Info) cli.Info {
	info.GoVersion = runtime.Version()
	info.HostPlatform = runtime.GOOS + "/" + runtime.GOARCH
	if build, ok := debug.ReadBuildInfo(); ok {
		if info.Version == "" && build.Main.Version != "(devel)" {
			info.Version = build.Main.Version
		}
		if info.Commit == "" {
			info.Commit = revision(build.Settings)
		}
	}
	if info.Version == "" {
		info.Version = "development"
	}
	if info.Commit == "" {
		info.Commit = "unknown"
	}
	return info
}

// revision is the commit, marked when the files differed from it.
func revision(settings []debug.BuildSetting) string {
	commit, changed := "", ""
	for _, s := range settings {
		switch s.Key {
		case "vcs.revision":
			commit = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				changed = " with changes"
			}
		}
	}
	if commit == "" {
		return ""
	}
	return commit + changed
}
