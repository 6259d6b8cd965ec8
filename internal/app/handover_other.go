//go:build !unix

package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// replace runs the program as a child and returns its exit code.
func replace(_ context.Context, file string, args, environ []string) (int, error) {
	// Not bound to the context: the child gets the interrupt of the console
	// itself, and stops in its own way.
	cmd := exec.Command(file, args[1:]...) //nolint:gosec,noctx // Found by findFull; see above.
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = os.Stdin, os.Stdout, os.Stderr, environ
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	if err != nil {
		return 0, fmt.Errorf("run %s: %w", file, err)
	}
	return 0, nil
}
