package rig

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Usage is what a proxy takes of the machine.
type Usage struct {
	// FDs are open descriptors, Threads those of the kernel, RSS bytes of memory.
	FDs, Threads int
	RSS          int64
	Goroutines   int
}

var goroutines = regexp.MustCompile(`goroutine profile: total (\d+)`)

// Usage reads /proc and the profile of goroutines.
func (x *Proxy) Usage() Usage {
	x.t.Helper()
	var u Usage
	m := goroutines.FindStringSubmatch(x.Get("/pprof/goroutine?debug=1"))
	if m == nil {
		x.t.Fatal("the proxy shows no profile of goroutines")
	}
	u.Goroutines, _ = strconv.Atoi(m[1])
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", x.PID))
	if err != nil {
		x.t.Fatal(err)
	}
	u.FDs = len(fds)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", x.PID))
	if err != nil {
		x.t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		f := strings.Fields(line)
		switch {
		case len(f) < 2:
		case f[0] == "Threads:":
			u.Threads, _ = strconv.Atoi(f[1])
		case f[0] == "VmRSS:":
			kib, _ := strconv.ParseInt(f[1], 10, 64)
			u.RSS = kib << 10
		}
	}
	return u
}

// CPU is the processor time that the process has used.
func (x *Proxy) CPU() time.Duration {
	x.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", x.PID))
	if err != nil {
		x.t.Fatal(err)
	}
	// The name in parentheses may hold anything; what follows is counted from 3.
	f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, _ := strconv.ParseInt(f[11], 10, 64)
	system, _ := strconv.ParseInt(f[12], 10, 64)
	const ticks = 100 // per second, on every Linux that Go runs on
	return time.Duration(user+system) * time.Second / ticks
}

// Growth is what is allowed to remain after work: pooled connections have ended by
// then, but not what the runtime keeps.
type Growth struct {
	FDs, Goroutines int
	RSS             int64
}

// Settle waits until the proxy is back at what it used before, and fails the test
// if it does not get there.
func (x *Proxy) Settle(before Usage, allowed Growth) Usage {
	x.t.Helper()
	var now Usage
	deadline := time.Now().Add(Patience)
	for {
		now = x.Usage()
		if now.FDs <= before.FDs+allowed.FDs && now.Goroutines <= before.Goroutines+allowed.Goroutines &&
			now.RSS <= before.RSS+allowed.RSS {
			return now
		}
		if time.Now().After(deadline) {
			x.t.Errorf("the proxy leaks: before %+v, after %+v, allowed to grow by %+v", before, now, allowed)
			return now
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Metric sums the samples of a metric that have all the given labels, each as
// name="value".
func (x *Proxy) Metric(name string, labels ...string) float64 {
	x.t.Helper()
	return sum(x.t, x.Get("/metrics"), name, labels)
}

func sum(tb testing.TB, text, name string, labels []string) float64 {
	tb.Helper()
	total := 0.0
samples:
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || rest == "" || (rest[0] != '{' && rest[0] != ' ') {
			continue
		}
		for _, l := range labels {
			if !strings.Contains(rest, l) {
				continue samples
			}
		}
		f := strings.Fields(rest[strings.LastIndexByte(rest, '}')+1:])
		if len(f) == 0 {
			tb.Fatalf("a sample without value: %s", line)
		}
		v, err := strconv.ParseFloat(f[0], 64)
		if err != nil {
			tb.Fatalf("%s: %v", line, err)
		}
		total += v
	}
	return total
}
