package oci_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// builds keeps one program per platform for all tests of the package.
type builds struct {
	mu   sync.Mutex
	dir  string
	made map[string]string
}

var programs builds

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "oci-test-")
	if err != nil {
		panic(err)
	}
	programs.dir, programs.made = dir, map[string]string{}
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// program builds a small program without the runtime's heavier parts.
func (b *builds) program(t *testing.T, goos, goarch string) string {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if file := b.made[goos+goarch]; file != "" {
		return file
	}
	src := filepath.Join(b.dir, "src")
	write(t, filepath.Join(src, "go.mod"), "module hello\n\ngo 1.26\n")
	write(t, filepath.Join(src, "main.go"), "package main\n\nfunc main() { println(\"hello\") }\n")
	file := filepath.Join(b.dir, goos+"-"+goarch, "hello")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", file, ".")
	cmd.Dir = src
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch, "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	b.made[goos+goarch] = file
	return file
}

// hello is a static program for linux/amd64.
func hello(t *testing.T) string {
	t.Helper()
	return programs.program(t, "linux", "amd64")
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// copyProgram puts a program under another path.
func copyProgram(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	write(t, to, string(content))
	if err := os.Chmod(to, 0o755); err != nil {
		t.Fatal(err)
	}
}
