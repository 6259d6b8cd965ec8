package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestPackagesOf(t *testing.T) {
	got := packagesOf([]string{"-trimpath", "-o", "../bin/x", "-ldflags", "-s -w", "./cmd/x"})
	if len(got) != 1 || got[0] != "./cmd/x" {
		t.Errorf("packagesOf = %q, want only ./cmd/x", got)
	}
}

func TestFollowCountsPackagesAndPassesErrorsOn(t *testing.T) {
	var out strings.Builder
	m := newMeter(&out, build{label: "x", began: time.Now()}, 4)
	m.follow(strings.NewReader("fmt\nexample.com/a\n# example.com/a\nexample.com/a/a.go:3:1: syntax error\n"))
	if got := m.line(); !strings.Contains(got, "2 of 4 packages (50%)") {
		t.Errorf("line = %q, want 2 of 4", got)
	}
	m.close(errors.New("exit status 1"))
	for _, want := range []string{"syntax error", "building x failed"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output lacks %q:\n%s", want, out.String())
		}
	}
}

func TestRunBuildsAndReportsFailure(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "go.mod", "module example.com/x\n\ngo 1.26\n")
	write(t, dir, "main.go", "package main\n\nfunc main() {}\n")
	bin := filepath.Join(dir, "x")
	b := build{label: "x", dir: dir, args: []string{"-o", bin, "."}, began: time.Now()}
	var out strings.Builder
	if err := b.run(context.Background(), &out); err != nil {
		t.Fatalf("build: %v\n%s", err, out.String())
	}
	if _, err := os.Stat(bin); err != nil {
		t.Errorf("no program was built: %v", err)
	}
	if !strings.Contains(out.String(), "x is built") {
		t.Errorf("no closing line in %q", out.String())
	}

	write(t, dir, "main.go", "package main\n\nfunc main() { undefined() }\n")
	out.Reset()
	err := b.run(context.Background(), &out)
	if _, ok := errors.AsType[*exec.ExitError](err); !ok {
		t.Errorf("a failing build gave %v, want the error of go build", err)
	}
	if !strings.Contains(out.String(), "undefined: undefined") {
		t.Errorf("the compiler's message is missing:\n%s", out.String())
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
