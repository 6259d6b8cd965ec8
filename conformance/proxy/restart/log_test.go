package restart

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/conformance/proxy/chaos/lab"
	"github.com/tatami-platform/tatami/conformance/proxy/rig"
)

// TestLogIsLost: requests go on whatever happens to where logs go.
func TestLogIsLost(t *testing.T) {
	for _, tt := range []struct {
		name string
		// redirect is what a shell says; FIFO is a pipe of the test.
		redirect string
		// closed says that the reader of the pipe goes away, at once or later.
		closed bool
	}{
		{"disk full", ">/dev/full", false},
		{"nobody reads the access log", ">FIFO", false},
		{"the reader of the access log ends", ">FIFO", true},
		{"nobody reads the diagnostics", "2>FIFO >/dev/null", false},
		{"the reader of the diagnostics ends", "2>FIFO >/dev/null", true},
		{"both are closed", ">&- 2>&-", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			dir := lab.ShortDir(t)
			fifo := filepath.Join(dir, "log")
			if err := syscall.Mkfifo(fifo, 0o600); err != nil {
				t.Fatal(err)
			}
			// Open without waiting for a writer.
			reader, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer reader.Close()
			script := filepath.Join(dir, "proxy")
			text := fmt.Sprintf("#!/bin/sh\nexec '%s' \"$@\" %s\n", program.Path, strings.ReplaceAll(tt.redirect, "FIFO", "'"+fifo+"'"))
			if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
				t.Fatal(err)
			}
			socket := filepath.Join(dir, "s")
			file := filepath.Join(dir, "proxy.yaml")
			config := func(n int) {
				writeConfig(t, file, strings.ReplaceAll(s.config(n), "127.0.0.1:0", "unix:"+socket))
			}
			config(0)
			p := rig.Program{Path: script}.Launch(t, rig.Options{Args: []string{"--config", file, "--access-log", "all"}})
			lab.Until(t, "it listens", func() bool {
				c, err := lab.Dial(socket)
				if err == nil {
					_ = c.Close()
				}
				return err == nil
			})
			load := begin(t, s.bodies, front{http: fixed(socket)})
			time.Sleep(200 * time.Millisecond)
			if tt.closed {
				_ = reader.Close()
			} else {
				fill(t, fifo)
			}
			// Each reload is told to the diagnostics, as are refused ones.
			for n := range 5 {
				config(n + 1)
				p.Signal(syscall.SIGHUP)
				time.Sleep(100 * time.Millisecond)
			}
			load.end()
			if p.Ended() {
				t.Fatal("it ended")
			}
			p.Signal(syscall.SIGTERM)
			if err := p.Wait(); err != nil {
				t.Errorf("it ended with %v", err)
			}
		})
	}
}

// fill leaves no room in a pipe, so that whoever writes to it waits.
func fill(t *testing.T, fifo string) {
	t.Helper()
	fd, err := syscall.Open(fifo, syscall.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Close(fd) }() // what is in the pipe stays
	for err == nil {
		_, err = syscall.Write(fd, []byte{'\n'})
	}
	if !errors.Is(err, syscall.EAGAIN) {
		t.Fatal(err)
	}
}

// writeConfig replaces a file at once.
func writeConfig(t *testing.T, path, text string) {
	t.Helper()
	err := os.WriteFile(path+".next", []byte(text), 0o600)
	if err == nil {
		err = os.Rename(path+".next", path)
	}
	if err != nil {
		t.Fatal(err)
	}
}
