package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// quietLimit is how long the output may stay silent before the tests that
// still run are named.
const quietLimit = time.Minute

// runner runs the modules one after the other: two at a time would only fight
// for the same cores and mix their output.
type runner struct {
	out     io.Writer
	short   bool
	race    bool
	timeout time.Duration
}

func (r runner) run(ctx context.Context, modules []string) (*tally, error) {
	if len(modules) == 0 {
		var err error
		if modules, err = findModules("."); err != nil {
			return nil, err
		}
	}
	t := newTally()
	for _, dir := range modules {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
			return nil, fmt.Errorf("%s is not the folder of a Go module: %w", dir, err)
		}
		if ctx.Err() != nil {
			t.fail(dir, "interrupted")
			continue
		}
		r.module(ctx, dir, t)
	}
	return t, nil
}

// findModules lists the folders below root that hold a go.mod, root first.
func findModules(root string) ([]string, error) {
	var dirs []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != root && (name == "testdata" || name == "bin" || strings.HasPrefix(name, ".")) {
			return fs.SkipDir
		}
		if name == "go.mod" {
			dirs = append(dirs, filepath.Dir(path))
		}
		return nil
	})
	slices.Sort(dirs)
	return dirs, err
}

func (r runner) module(ctx context.Context, dir string, t *tally) {
	fmt.Fprintf(r.out, "\nmodule %s\n", dir)
	began := time.Now()
	vet := command(ctx, dir, "go", "vet", "./...")
	if out, err := vet.CombinedOutput(); err != nil {
		fmt.Fprintf(r.out, "FAIL  go vet\n%s", out)
		t.fail(dir, "go vet")
	} else {
		fmt.Fprintf(r.out, "ok    go vet  %s\n", seconds(time.Since(began)))
	}
	args := []string{"test", "-json", "-count=1", "-vet=off", "-timeout", r.timeout.String()}
	if r.short {
		args = append(args, "-short")
	}
	test := command(ctx, dir, "go", append(args, "./...")...)
	if dir != "." {
		// The nested modules start whole clusters: two at a time would measure
		// how slow the machine is.
		test.Args = slices.Insert(test.Args, 2, "-p", "1")
	} else if r.race {
		r.enableRace(test)
	}
	before := len(t.failed)
	if err := r.tests(test, t); err != nil && len(t.failed) == before {
		t.fail(dir, "go test: "+err.Error())
	}
}

// enableRace needs cgo, and so a C compiler; without one the tests run plain.
func (r runner) enableRace(test *exec.Cmd) {
	if _, err := exec.LookPath("gcc"); err != nil {
		fmt.Fprintln(r.out, "no gcc here: testing without the race detector")
		return
	}
	test.Env = append(os.Environ(), "CGO_ENABLED=1")
	test.Args = slices.Insert(test.Args, 2, "-race")
}

// tests runs go test -json and hands its events to t.
func (r runner) tests(cmd *exec.Cmd, t *tally) error {
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	lines := make(chan string)
	go func() {
		defer close(lines)
		scan := bufio.NewScanner(stdout)
		scan.Buffer(nil, 16<<20)
		for scan.Scan() {
			lines <- scan.Text()
		}
	}()
	r.follow(lines, t)
	if err := cmd.Wait(); err != nil {
		_, _ = io.Copy(r.out, &stderr)
		return err
	}
	return nil
}

func (r runner) follow(lines <-chan string, t *tally) {
	quiet := time.NewTicker(quietLimit)
	defer quiet.Stop()
	for {
		select {
		case line, more := <-lines:
			if !more {
				return
			}
			var e event
			if json.Unmarshal([]byte(line), &e) != nil {
				fmt.Fprintln(r.out, line)
				continue
			}
			if text := t.add(e); text != "" {
				fmt.Fprint(r.out, text)
				quiet.Reset(quietLimit)
			}
		case <-quiet.C:
			if names := t.running(time.Now()); names != "" {
				fmt.Fprintln(r.out, "      still running: "+names)
			}
		}
	}
}

// command is interrupted before it is killed, so that tests can clean up.
func command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	return cmd
}

func seconds(d time.Duration) string {
	return fmt.Sprintf("%.1fs", d.Seconds())
}
