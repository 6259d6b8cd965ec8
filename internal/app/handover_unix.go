//go:build unix

package app

import (
	"context"
	"fmt"
	"syscall"
)

// replace becomes the program: signals, the terminal and the exit code are then
// its own.
func replace(_ context.Context, file string, args, environ []string) (int, error) {
	err := syscall.Exec(file, args, environ)
	return 0, fmt.Errorf("run %s: %w", file, err)
}
