package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// longBuild is the number of packages from which a build is announced as long.
const longBuild = 1500

// build is one run of go build.
type build struct {
	label string
	dir   string
	args  []string
	began time.Time
}

// run builds and draws the meter on w. The error of go build is returned as it
// is, so that the caller can exit with the same code.
func (b build) run(ctx context.Context, w io.Writer) error {
	total := b.countMissing(ctx)
	if total >= longBuild {
		fmt.Fprintf(w, "building %s: %d packages to compile, about ten minutes on two cores; later builds take seconds\n", b.label, total)
	}
	cmd := exec.CommandContext(ctx, "go", append([]string{"build", "-v"}, b.args...)...)
	cmd.Dir = b.dir
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return fmt.Errorf("reading go build: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting go build: %w", err)
	}
	m := newMeter(w, b, total)
	m.follow(stderr)
	err = cmd.Wait()
	m.close(err)
	return err
}

// countMissing asks the build cache how many packages it lacks. It is only
// used for the display, so an error counts as zero and go build reports it.
func (b build) countMissing(ctx context.Context) int {
	// A main package is never installed, so it is stale even when the cache has it.
	const missing = `{{if and .Stale (ne .StaleReason "not installed but available in build cache")}}x{{end}}`
	args := []string{"list", "-deps", "-f", missing}
	cmd := exec.CommandContext(ctx, "go", append(args, packagesOf(b.args)...)...)
	cmd.Dir = b.dir
	out, err := cmd.Output()
	if err != nil {
		return 0
	}
	return strings.Count(string(out), "x")
}

// packagesOf drops flags and their values from the arguments of go build.
func packagesOf(args []string) []string {
	var pkgs []string
	for i := 0; i < len(args); i++ {
		switch a := args[i]; {
		case a == "-o" || a == "-ldflags" || a == "-tags":
			i++ // the value
		case !strings.HasPrefix(a, "-"):
			pkgs = append(pkgs, a)
		}
	}
	return pkgs
}

// meter counts the packages that go build names and redraws one line.
type meter struct {
	w     io.Writer
	b     build
	total int
	tty   bool

	mu    sync.Mutex
	count int
	quit  chan struct{}
	drawn sync.WaitGroup
}

func newMeter(w io.Writer, b build, total int) *meter {
	m := &meter{w: w, b: b, total: total, tty: isTerminal(w), quit: make(chan struct{})}
	m.drawn.Go(m.draw)
	return m
}

// follow reads the lines of go build -v: a line without blanks names a package
// whose compilation begins, all else is an error or a note for the user.
func (m *meter) follow(r io.Reader) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		m.mu.Lock()
		if strings.ContainsAny(line, " \t") {
			m.clear()
			fmt.Fprintln(m.w, line)
		} else if line != "" {
			m.count++
		}
		m.mu.Unlock()
	}
}

func (m *meter) draw() {
	interval := 30 * time.Second
	if m.tty {
		interval = 200 * time.Millisecond
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-m.quit:
			return
		case <-tick.C:
			m.mu.Lock()
			m.clear()
			fmt.Fprint(m.w, m.line())
			if !m.tty {
				fmt.Fprintln(m.w)
			}
			m.mu.Unlock()
		}
	}
}

func (m *meter) line() string {
	elapsed := m.b.elapsed()
	if m.count >= m.total {
		return fmt.Sprintf("building %s: linking, %s", m.b.label, elapsed)
	}
	return fmt.Sprintf("building %s: %d of %d packages (%d%%), %s", m.b.label, m.count, m.total, 100*m.count/m.total, elapsed)
}

func (m *meter) close(err error) {
	close(m.quit)
	m.drawn.Wait()
	m.clear()
	switch {
	case err != nil:
		fmt.Fprintf(m.w, "building %s failed after %s\n", m.b.label, m.b.elapsed())
	case m.count == 0:
		fmt.Fprintf(m.w, "%s is built (%s, all from the cache)\n", m.b.label, m.b.elapsed())
	default:
		fmt.Fprintf(m.w, "%s is built (%s, %d packages compiled)\n", m.b.label, m.b.elapsed(), m.count)
	}
}

// clear removes the drawn line on a terminal.
func (m *meter) clear() {
	if m.tty {
		fmt.Fprint(m.w, "\r\x1b[K")
	}
}

func (b build) elapsed() time.Duration {
	return time.Since(b.began).Round(time.Second)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}
