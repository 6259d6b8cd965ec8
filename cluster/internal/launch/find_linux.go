package launch

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"

	"github.com/tatami-platform/tatami/cluster/internal/server"
)

// serverPID finds the server of a data folder by its command line; 0 for none.
// A number kept in a file could belong to another process by now.
func serverPID(dataDir string) int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		raw, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil {
			continue
		}
		args := bytes.Split(bytes.TrimRight(raw, "\x00"), []byte{0})
		if len(args) == 3 && string(args[1]) == server.Verb && string(args[2]) == dataDir {
			return pid
		}
	}
	return 0
}

// dead also counts a process that nobody has waited for: it holds nothing.
func dead(pid int) bool {
	raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return true
	}
	state := bytes.TrimSpace(raw[bytes.LastIndexByte(raw, ')')+1:])
	return len(state) > 0 && (state[0] == 'Z' || state[0] == 'X')
}
