//go:build !linux

package program

import "runtime/debug"

// giveBack returns heap that only a change of the configuration needed.
func giveBack() { debug.FreeOSMemory() }
