package box

import (
	"context"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const reapEvery = 5 * time.Second

// Reap removes the dead processes that process 1 inherits, e.g. the shims of
// ended containers. A child that this program started itself is waited for by
// whoever started it, within moments; so only a process that has been dead for
// a whole round is an orphan.
func Reap(ctx context.Context) {
	tick := time.NewTicker(reapEvery)
	defer tick.Stop()
	var last map[int]bool
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		dead := deadChildren()
		for pid := range dead {
			if last[pid] {
				_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil)
			}
		}
		last = dead
	}
}

func deadChildren() map[int]bool {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	dead := map[int]bool{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if raw, err := os.ReadFile("/proc/" + e.Name() + "/stat"); err == nil && isDeadChild(string(raw)) {
			dead[pid] = true
		}
	}
	return dead
}

// isDeadChild reads the state and the parent from a line of /proc/PID/stat; the
// command before them may hold spaces and brackets.
func isDeadChild(stat string) bool {
	i := strings.LastIndexByte(stat, ')')
	if i < 0 {
		return false
	}
	fields := strings.Fields(stat[i+1:])
	return len(fields) > 1 && fields[0] == "Z" && fields[1] == "1"
}
