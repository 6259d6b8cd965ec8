package node

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/tatami-platform/tatami/cluster/internal/instance"
)

//go:embed containerd.toml.tmpl
var containerdTemplate string

//go:embed cni.conflist.tmpl
var cniTemplate string

// containerdStop is how long containerd may take to end; its containers go on
// until the node's namespaces end.
const containerdStop = 3 * time.Second

// restartDelay keeps a containerd that dies at once from burning the processor.
const restartDelay = time.Second

// writeContainerdConfig writes containerd's and CNI's configuration.
func writeContainerdConfig(c instance.Config, p Programs) (string, error) {
	values := map[string]string{
		"Root": c.Path("node", "containerd"), "State": "/run/containerd", "Socket": c.ContainerdSocket(),
		"PauseImage": PauseImage, "CNIBin": p.CNIDir, "CNIConf": c.Path("node", "cni"), "Runc": p.Runc,
		"Snapshotter": snapshotter(c),
		// Without this capability a process can't lower its OOM score, and
		// every pod sandbox would fail to start.
		"RestrictOOM": strconv.FormatBool(!hasCapability(unix.CAP_SYS_RESOURCE)),
	}
	path := c.Path("node", "containerd.toml")
	if err := render(path, containerdTemplate, values); err != nil {
		return "", err
	}
	return path, render(c.Path("node", "cni", "10-tatami.conflist"), cniTemplate, map[string]string{
		"PodCIDR": instance.PodCIDR.String(),
		"Gateway": instance.NodeIP.String(),
	})
}

// render fills {{.Name}} marks. It is not text/template: that calls methods by
// name, and the linker would have to keep every method of the program.
func render(path, text string, values map[string]string) error {
	for name, value := range values {
		text = strings.ReplaceAll(text, "{{."+name+"}}", value)
	}
	if _, rest, found := strings.Cut(text, "{{."); found {
		name, _, _ := strings.Cut(rest, "}}")
		return fmt.Errorf("render %s: no value for %s", path, name)
	}
	return instance.WriteFile(path, []byte(text))
}

// snapshotter is overlayfs where the data folder's file system carries it;
// another overlay, as in a container, does not.
func snapshotter(c instance.Config) string {
	const overlayMagic = 0x794c7630
	var st syscall.Statfs_t
	if err := syscall.Statfs(c.DataDir, &st); err == nil && st.Type == overlayMagic {
		return "native"
	}
	return "overlayfs"
}

func hasCapability(number int) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false
	}
	return data[number/32].Effective&(1<<(uint(number)%32)) != 0
}

// superviseContainerd keeps containerd running until the context ends. Its
// containers survive its restart, and kubelet reconnects.
func superviseContainerd(ctx context.Context, p Programs, config string, log io.Writer) {
	for {
		err := runContainerd(ctx, p, config, log)
		if ctx.Err() != nil {
			return
		}
		klog.ErrorS(err, "containerd ended, starting it again")
		select {
		case <-ctx.Done():
			return
		case <-time.After(restartDelay):
		}
	}
}

func runContainerd(ctx context.Context, p Programs, config string, log io.Writer) error {
	cmd := exec.CommandContext(ctx, p.Containerd, "--config", config)
	cmd.Stdout, cmd.Stderr = log, log
	// Its shims and CNI plugins are looked for in PATH, which may lack root's
	// folders. The last of equal names counts.
	cmd.Env = append(cmd.Environ(), "GOGC=50", "PATH="+strings.Join(programDirs(), ":"))
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = containerdStop
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("containerd: %w", err)
	}
	return errors.New("containerd ended without an error")
}
