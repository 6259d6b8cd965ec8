package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Program is a built tatami-proxy.
type Program struct {
	// Path of the executable.
	Path string
}

// rootModule is whose program is tested.
const rootModule = "module github.com/tatami-platform/tatami\n"

// Main builds the program, hands it to use, runs the tests and returns their exit
// code. It is built anew each time, which the build cache makes quick: one from
// bin/ may be older than its sources. Without the need for a program, as under
// -test.list, nothing would be lost but time.
func Main(m *testing.M, use func(Program)) int {
	dir, err := os.MkdirTemp("", "rig")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	p, err := Build(context.Background(), dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	use(p)
	return m.Run()
}

// Build makes the program in dir, with the flags of the Makefile.
func Build(ctx context.Context, dir string) (Program, error) {
	root, err := findRoot()
	if err != nil {
		return Program{}, err
	}
	path := filepath.Join(dir, "tatami-proxy")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-tags", "grpcnotrace",
		"-ldflags", "-s -w", "-o", path, "./cmd/tatami-proxy")
	cmd.Dir = root
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return Program{}, fmt.Errorf("building tatami-proxy: %w\n%s", err, out)
	}
	return Program{Path: path}, nil
}

// findRoot looks for the root module from the working directory up: tests run in
// the folder of their package.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(text), rootModule) {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("the folder of the root module was not found: run the tests inside the repository")
		}
		dir = up
	}
}

// Kind is how the proxy does its input and output.
type Kind string

// The kinds.
const (
	Epoll    Kind = "epoll"
	Portable Kind = "portable"
)

// Kinds are both; each suite runs on each.
func Kinds() []Kind { return []Kind{Epoll, Portable} }

// Both runs a test once per kind.
func Both(t *testing.T, test func(t *testing.T, kind Kind)) {
	t.Helper()
	for _, kind := range Kinds() {
		t.Run(string(kind), func(t *testing.T) { test(t, kind) })
	}
}
