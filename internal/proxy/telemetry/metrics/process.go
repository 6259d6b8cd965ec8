package metrics

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond is USER_HZ, which Linux has fixed at 100 on all architectures
// that Go runs on.
const ticksPerSecond = 100

// process prints what the kernel and the runtime know about this process, under
// the names that Prometheus' clients use. What cannot be read is left out.
func (e *encoder) process(start time.Time) {
	if cpu, ok := processorSeconds(); ok {
		e.plain("counter", "process_cpu_seconds", "User and system processor time.", cpu)
	}
	if resident, ok := residentBytes(); ok {
		e.plain("gauge", "process_resident_memory_bytes", "Resident memory.", resident)
	}
	if entries, err := os.ReadDir("/proc/self/fd"); err == nil {
		e.plain("gauge", "process_open_fds", "Open file descriptors.", float64(len(entries)-1))
	}
	if !start.IsZero() {
		e.plain("gauge", "process_start_time_seconds", "When the process began.", seconds(start))
	}
	e.plain("gauge", "go_goroutines", "Goroutines.", float64(runtime.NumGoroutine()))
	e.plain("gauge", "go_sched_gomaxprocs_threads", "Processors that Go uses.", float64(runtime.GOMAXPROCS(0)))
}

func (e *encoder) plain(kind, name, help string, v float64) {
	e.head(name, kind, "", help)
	if kind == "counter" {
		name += "_total"
	}
	e.raw("", name, "", "").float(v)
}

// processorSeconds reads fields 14 and 15 of proc_pid_stat(5).
func processorSeconds() (float64, bool) {
	data, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0, false
	}
	// The name of the program stands in brackets and may hold spaces.
	text := string(data)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return 0, false
	}
	user, err1 := strconv.ParseUint(fields[11], 10, 64)
	system, err2 := strconv.ParseUint(fields[12], 10, 64)
	return float64(user+system) / ticksPerSecond, err1 == nil && err2 == nil
}

// residentBytes reads field 2 of proc_pid_statm(5).
func residentBytes() (float64, bool) {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, false
	}
	fields := strings.Fields(string(data))
	if len(fields) < 2 {
		return 0, false
	}
	pages, err := strconv.ParseUint(fields[1], 10, 64)
	return float64(pages) * float64(os.Getpagesize()), err == nil
}
