//go:build !linux

package egress

import (
	"context"
	"errors"
)

// Start fails: there is no node to let out.
func Start(context.Context, string, Dial) error { return errors.New("a real node needs Linux") }
