//go:build !linux

package launch

import (
	"context"
	"errors"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tatami-platform/tatami/cluster/internal/instance"
	"github.com/tatami-platform/tatami/cluster/internal/server"
)

const psTimeout = 5 * time.Second

// ps asks for one column of one process; empty when there is no such process.
func ps(pid int, column string) string {
	ctx, cancel := context.WithTimeout(context.Background(), psTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ps", "-o", column+"=", "-p", strconv.Itoa(pid)).Output() //nolint:gosec // a number
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// serverPID trusts the number in the state file only if the process has the
// command line of that server; 0 for none.
func serverPID(dataDir string) int {
	st, err := instance.ReadState(dataDir)
	if err != nil || st.PID == 0 || !strings.HasSuffix(ps(st.PID, "command"), server.Verb+" "+dataDir) {
		return 0
	}
	return st.PID
}

func dead(pid int) bool {
	return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) || strings.HasPrefix(ps(pid, "stat"), "Z")
}

// residentBytes of the server, which is all there is without a node.
func residentBytes(server int) int64 {
	if server == 0 {
		return 0
	}
	kib, _ := strconv.ParseInt(ps(server, "rss"), 10, 64)
	return kib << 10
}
