package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// patience is how long a part may take before it is given up.
const patience = 5 * time.Minute

// runAll measures all parts of a case, one after the other. What fails is noted,
// and the other parts go on.
func (s settings) runAll(ctx context.Context, c benchCase, errs io.Writer) (result, error) {
	r, err := newResult(c, s.quick)
	if err != nil {
		return r, err
	}
	for _, p := range partsOf(c) {
		fmt.Fprintf(errs, "%s: %s\n", c.name, p)
		if err := s.run(ctx, c, p, &r); err != nil {
			r.Failures = append(r.Failures, fmt.Sprintf("%s: %v", p, err))
		}
	}
	r.compare()
	return r, ctx.Err()
}

// run measures one part of a case in a process of its own, so that memory is
// that part's alone and no heap of another one slows it down.
func (s settings) run(ctx context.Context, c benchCase, p part, into *result) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, "-child", c.name, "-part", string(p),
		"-quick="+strconv.FormatBool(s.quick), "-karpenter", s.limit.String())
	cmd.Env = append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(p.cores()))
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if ctx.Err() != nil {
		return fmt.Errorf("no answer after %s: %w", patience, ctx.Err())
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into.of(p))
}

// cores that a part may use: the targets of ours are for one, Karpenter has all.
func (p part) cores() int {
	if p == karpenterPart {
		return runtime.NumCPU()
	}
	return 1
}

// cpuTime is what this process has used so far.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// loadAverage of the last minute: processes that wanted a core, 0 where the
// system does not tell.
func loadAverage() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), " ")
	load, _ := strconv.ParseFloat(first, 64)
	return load
}

// peakRSS is the largest amount of memory that this process has held, in bytes;
// 0 where the system does not tell. What the parent held does not count, as it
// would in the usage that wait(2) reports.
func peakRSS() int64 {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if value, found := strings.CutPrefix(lines.Text(), "VmHWM:"); found {
			n, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
			return n << 10
		}
	}
	return 0
}
