//go:build !linux

package evloop

import (
	"errors"
	"fmt"
)

func newPipe() (*Pipe, error) { return nil, fmt.Errorf("splice: %w", errors.ErrUnsupported) }

func (p *Pipe) close() {}
