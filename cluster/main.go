package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/tatami-platform/tatami/cluster/internal/instance"
	"github.com/tatami-platform/tatami/cluster/internal/launch"
	"github.com/tatami-platform/tatami/cluster/internal/server"
	"github.com/tatami-platform/tatami/internal/app"
	"github.com/tatami-platform/tatami/internal/cli"
)

// version is set when a release is linked.
var version = ""

func main() {
	if len(os.Args) == 3 && os.Args[1] == server.Verb {
		os.Exit(server.Main(os.Args[2]))
	}
	// Kubernetes' packages put flags of their own here, and cobra shows them.
	pflag.CommandLine = pflag.NewFlagSet(os.Args[0], pflag.ContinueOnError)
	host, err := readHost()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	os.Exit(app.Main(app.Program{
		Platform: launch.New(host),
		Info:     cli.Info{Version: version, Kubernetes: instance.KubernetesVersion},
	}))
}

// readHost asks the environment where things are; nothing below main does.
func readHost() (launch.Host, error) {
	h := launch.Host{Root: os.Geteuid() == 0}
	program, err := os.Executable()
	if err != nil {
		return h, err
	}
	if h.Program, err = filepath.EvalSymlinks(program); err != nil {
		return h, err
	}
	switch {
	case h.Root:
		h.DataHome = "/var/lib/tatami"
	case os.Getenv("XDG_DATA_HOME") != "":
		h.DataHome = filepath.Join(os.Getenv("XDG_DATA_HOME"), "tatami")
	default:
		if home, err := os.UserHomeDir(); err == nil {
			h.DataHome = filepath.Join(home, ".local", "share", "tatami")
		}
	}
	return h, nil
}
