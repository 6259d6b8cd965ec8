package box

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
	"k8s.io/component-helpers/node/util/sysctl"
)

// tunables are settings of the whole machine, not of a namespace, that kubelet
// sets when it starts, and with which it refuses to start otherwise.
func tunables() map[string]int {
	return map[string]int{
		sysctl.VMOvercommitMemory: sysctl.VMOvercommitMemoryAlways,
		sysctl.VMPanicOnOOM:       sysctl.VMPanicOnOOMInvokeOOMKiller,
		sysctl.KernelPanic:        sysctl.KernelPanicRebootTimeout,
		sysctl.KernelPanicOnOops:  sysctl.KernelPanicOnOopsAlways,
		sysctl.RootMaxKeys:        sysctl.RootMaxKeysSetting,
		sysctl.RootMaxBytes:       sysctl.RootMaxBytesSetting,
	}
}

func tunableFile(key string) string { return filepath.Join("/proc/sys", key) }

// coverTunables shows kubelet the values that it wants, in files of the node's
// own, so that the machine keeps those of its user: one that reboots after a
// panic is no longer the machine that it was.
func coverTunables() error {
	for key, value := range tunables() {
		own := filepath.Join("/run/tatami/sysctl", key)
		if err := os.MkdirAll(filepath.Dir(own), 0o755); err != nil { //nolint:gosec // in the node's own tmpfs
			return err
		}
		if err := os.WriteFile(own, []byte(strconv.Itoa(value)+"\n"), 0o644); err != nil { //nolint:gosec // as above
			return err
		}
		if err := unix.Mount(own, tunableFile(key), "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("cover %s: %w", tunableFile(key), err)
		}
	}
	return nil
}

// UncoverTunables is for when kubelet has started: as long as a part of /proc is
// covered, the kernel gives none to containers in user namespaces.
func UncoverTunables() error {
	var errs []error
	for key := range tunables() {
		if err := unix.Unmount(tunableFile(key), unix.MNT_DETACH); err != nil {
			errs = append(errs, fmt.Errorf("uncover %s: %w", tunableFile(key), err))
		}
	}
	return errors.Join(errs...)
}
