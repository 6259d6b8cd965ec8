package launch

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"

	"github.com/tatami-platform/tatami/cluster/internal/box"
	"github.com/tatami-platform/tatami/cluster/internal/node"
)

// realNode says why this host can't run a real node; nil when it can.
func (p *Platform) realNode(ctx context.Context) error {
	if runtime.GOOS != "linux" {
		return fmt.Errorf("it needs Linux, this is %s", runtime.GOOS)
	}
	if !p.host.Root {
		return errors.New("it needs root")
	}
	if _, err := node.FindPrograms(ctx); err != nil {
		return err
	}
	return canMakeBox(ctx)
}

// canMakeBox starts a trivial program in new namespaces; a container without
// the right to do so refuses.
func canMakeBox(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "true")
	cmd.SysProcAttr = box.Attributes(true, box.Attached)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("this machine does not let root make namespaces: %w", err)
	}
	return nil
}
