//go:build !linux

package target

import "syscall"

// attributes are none: a suite that is killed leaves its cluster running.
func attributes() *syscall.SysProcAttr { return nil }
