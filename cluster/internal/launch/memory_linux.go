package launch

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// residentBytes sums the resident memory of the server and of containerd and
// its shims; pages that they share are counted once for each.
func residentBytes(server int) int64 {
	if server == 0 {
		return 0
	}
	children := map[int][]int{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			if parent := parentOf(pid); parent != 0 {
				children[parent] = append(children[parent], pid)
			}
		}
	}
	return sumPlatform(server, children)
}

// sumPlatform stops at the containers: the children of a shim are pods.
func sumPlatform(pid int, children map[int][]int) int64 {
	total := rss(pid)
	for _, child := range children[pid] {
		name := comm(child)
		if strings.HasPrefix(name, "containerd-shim") {
			total += rss(child)
		} else if name == "containerd" {
			total += sumPlatform(child, children)
		}
	}
	return total
}

func parentOf(pid int) int {
	raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0
	}
	fields := bytes.Fields(raw[bytes.LastIndexByte(raw, ')')+1:])
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(string(fields[1]))
	return parent
}

func comm(pid int) string {
	raw, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "comm"))
	return strings.TrimSpace(string(raw))
}

func rss(pid int) int64 {
	raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "statm"))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(raw))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
