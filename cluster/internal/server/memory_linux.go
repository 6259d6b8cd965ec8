package server

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// startGCPercent is low already: garbage of the start leaves holes in the
	// heap that never close. Go's default took 35 MB more at rest, and no less
	// time to start.
	startGCPercent = 30
	// restGCPercent keeps the heap near its live size; at rest little is
	// allocated, so the collector still runs only every few seconds.
	restGCPercent = 25
	// settle is when the first wave of work after the start is over.
	settle = 8 * time.Second
	// resettle takes back what bursts of work have paged in since.
	resettle = 5 * time.Minute
)

// saveMemory gives back what only the start needed: garbage, and the pages of
// the program file that hold the code and data of initialisation (over half of
// what is mapped). They come back from the page cache if they are used again.
func saveMemory(ctx context.Context) {
	wait := time.NewTimer(settle)
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
		}
		debug.SetGCPercent(restGCPercent)
		debug.FreeOSMemory()
		dropProgramPages()
		wait.Reset(resettle)
	}
}

// dropProgramPages is best effort: what can't be read or dropped stays.
func dropProgramPages() {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		start, length, ok := droppable(lines.Text(), program)
		if !ok {
			continue
		}
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, start, length, unix.MADV_DONTNEED)
	}
}

// droppable reads a line of /proc/PID/maps. Only what is mapped without the
// right to write is safe: a private page that was written has no other copy.
func droppable(line, program string) (start, length uintptr, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 6 || fields[5] != program || len(fields[1]) < 2 || fields[1][1] == 'w' {
		return 0, 0, false
	}
	var end uintptr
	if _, err := fmt.Sscanf(fields[0], "%x-%x", &start, &end); err != nil || end <= start {
		return 0, 0, false
	}
	return start, end - start, true
}
