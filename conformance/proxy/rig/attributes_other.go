//go:build !linux

package rig

import "syscall"

// attributes are none: a suite that is killed leaves its proxy running.
func attributes() *syscall.SysProcAttr { return nil }
