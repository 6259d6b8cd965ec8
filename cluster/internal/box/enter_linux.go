package box

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tatami-platform/tatami/cluster/internal/instance"
)

// Bridge is the interface that pods are attached to; it carries the node's
// address.
const Bridge = "tatami0"

// Enter prepares the namespaces that the process was started in. The file that
// it returns is nil when the host has none.
func Enter(c instance.Config) (*HostResolvConf, error) {
	if os.Getpid() != 1 {
		return nil, errors.New("the server of a real node must be the first process of its namespace")
	}
	resolv, err := openHostResolvConf()
	if err != nil {
		resolv = nil
	}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"mounts", func() error { return mounts(c) }},
		{"host name", func() error { return unix.Sethostname([]byte(c.NodeName())) }},
		{"network", network},
		{"cgroup", func() error { return makeCgroup(c) }},
	} {
		if err := step.do(); err != nil {
			return nil, fmt.Errorf("prepare the node's %s: %w", step.name, err)
		}
	}
	return resolv, nil
}

// mounts gives the node its own /proc and hides the host's state: kubelet,
// containerd and runc have paths that can't be configured, and must not find
// those of another container engine there.
func mounts(c instance.Config) error {
	// What the host unmounts, e.g. a disk to be ejected, must go here as well;
	// nothing goes the other way.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("separate mounts from the host's: %w", err)
	}
	// Shared among the containers of this node, as on any node.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("make mounts shared: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	data, err := os.OpenFile(c.DataDir, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer data.Close()
	for _, dir := range []string{"/run", "/var/lib", "/var/log"} {
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
			return fmt.Errorf("hide %s: %w", dir, err)
		}
	}
	if err := keepVisible(c.DataDir, data); err != nil {
		return err
	}
	if err := coverTunables(); err != nil {
		return err
	}
	return coverResolvConf(c)
}

// keepVisible mounts the data folder back where it was, if it was hidden.
func keepVisible(dir string, data *os.File) error {
	if _, err := os.Stat(filepath.Join(dir, instance.MarkerFile)); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := unix.Mount(fmt.Sprintf("/proc/self/fd/%d", data.Fd()), dir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("keep %s visible: %w", dir, err)
	}
	return nil
}

// network makes the bridge of the pods. It is the default route as well, so
// that a cluster IP, which no interface has, gets as far as the rules that
// translate it.
func network() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return err
	}
	bridge := &netlink.Bridge{LinkAttrs: netlink.NewLinkAttrs()}
	bridge.Name = Bridge
	if err := netlink.LinkAdd(bridge); err != nil {
		return fmt.Errorf("bridge %s: %w", Bridge, err)
	}
	addr := &netlink.Addr{IPNet: &net.IPNet{
		IP:   instance.NodeIP.AsSlice(),
		Mask: net.CIDRMask(instance.PodCIDR.Bits(), instance.NodeIP.BitLen()),
	}}
	if err := netlink.AddrAdd(bridge, addr); err != nil {
		return fmt.Errorf("address of %s: %w", Bridge, err)
	}
	if err := netlink.LinkSetUp(bridge); err != nil {
		return err
	}
	if err := netlink.RouteAdd(&netlink.Route{LinkIndex: bridge.Index, Scope: netlink.SCOPE_LINK, Dst: defaultRoute()}); err != nil {
		return fmt.Errorf("default route: %w", err)
	}
	return sysctls()
}

func defaultRoute() *net.IPNet {
	return &net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}
}

// sysctls of the node's network namespace; the host keeps its own.
func sysctls() error {
	for _, s := range []struct {
		key, value string
		required   bool
	}{
		{"net/ipv4/ip_forward", "1", true},
		// Answers from a pod on the same bridge must pass the translation.
		{"net/bridge/bridge-nf-call-iptables", "1", true},
		{"net/ipv4/conf/all/rp_filter", "0", false},
		{"net/ipv6/conf/all/disable_ipv6", "1", false},
	} {
		err := os.WriteFile("/proc/sys/"+s.key, []byte(s.value), 0o644) //nolint:gosec // a sysctl has its own mode
		if err != nil && s.required {
			return fmt.Errorf("sysctl %s: %w", s.key, err)
		}
	}
	return nil
}
