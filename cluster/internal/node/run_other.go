//go:build !linux

package node

import (
	"context"
	"errors"

	"github.com/tatami-platform/tatami/cluster/internal/instance"
)

// Start fails: containers of this kind need Linux.
func Start(context.Context, instance.Config, Programs) (*Node, error) {
	return nil, errors.New("a real node needs Linux")
}
