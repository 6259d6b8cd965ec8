package program

import (
	"bufio"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
)

// giveBack returns what only the start, or a change of the configuration, needed:
// free heap, and pages of the program file. Those that are used come back from the
// page cache at their next use; the others, of a program that has gRPC and TLS in
// it, would stay resident for ever: 6 of 11 MB.
func giveBack() {
	debug.FreeOSMemory()
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer func() { _ = maps.Close() }()
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		if begin, end, ok := ownPages(lines.Text(), self); ok {
			// By number, for it is no memory of Go's. Where it fails the pages stay.
			_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, begin, end-begin, syscall.MADV_DONTNEED)
		}
	}
}

// ownPages is the mapping that a line of maps describes, if it is a read-only one
// of the program file. Only those: what was written to is not in the file.
func ownPages(line, self string) (begin, end uintptr, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 6 || fields[5] != self || strings.Contains(fields[1], "w") {
		return 0, 0, false
	}
	from, to, _ := strings.Cut(fields[0], "-")
	first, err1 := strconv.ParseUint(from, 16, 64)
	last, err2 := strconv.ParseUint(to, 16, 64)
	return uintptr(first), uintptr(last), err1 == nil && err2 == nil && first < last
}
