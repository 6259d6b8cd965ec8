package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
)

// Programs are the host's programs that a real node needs, with full paths.
type Programs struct {
	Containerd string
	Runc       string
	// CNIDir holds bridge, host-local, loopback and portmap.
	CNIDir string
	// NFT is empty on a host without nftables' program; kube-proxy uses
	// iptables then.
	NFT      string
	IPTables string
}

// oldestContainerd is what Debian 12 has; the CRI of older ones was not tried.
const oldestContainerd = "1.6"

// FindPrograms looks for what a real node needs, and says what is missing.
func FindPrograms(ctx context.Context) (Programs, error) {
	var p Programs
	var missing []error
	for _, want := range []struct {
		name string
		path *string
	}{{"containerd", &p.Containerd}, {"runc", &p.Runc}} {
		path, err := lookPath(want.name)
		if err != nil {
			missing = append(missing, fmt.Errorf("%s is not installed", want.name))
			continue
		}
		*want.path = path
	}
	if _, err := lookPath("containerd-shim-runc-v2"); err != nil && p.Containerd != "" {
		missing = append(missing, errors.New("containerd-shim-runc-v2 is not installed"))
	}
	p.CNIDir = findCNI()
	if p.CNIDir == "" {
		missing = append(missing, errors.New("the CNI plugins (containernetworking-plugins) are not installed"))
	}
	p.NFT, _ = lookPath("nft")
	p.IPTables, _ = lookPath("iptables")
	if p.NFT == "" && p.IPTables == "" {
		missing = append(missing, errors.New("neither nft nor iptables is installed"))
	}
	if err := errors.Join(missing...); err != nil {
		return p, err
	}
	version, err := containerdVersion(ctx, p.Containerd)
	if err != nil {
		return p, err
	}
	if olderThan(version, oldestContainerd) {
		return p, fmt.Errorf("containerd %s is too old, %s or newer is needed", version, oldestContainerd)
	}
	return p, nil
}

// lookPath also looks where root's programs are: the PATH of a user who became
// root with su may lack them.
func lookPath(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return filepath.Abs(path)
	}
	for _, dir := range rootDirs() {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", exec.ErrNotFound
}

func rootDirs() []string {
	return []string{"/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin"}
}

// programDirs is PATH, and then where root's programs are.
func programDirs() []string {
	return append(filepath.SplitList(os.Getenv("PATH")), rootDirs()...) //nolint:forbidigo // as exec.LookPath does
}

func findCNI() string {
	for _, dir := range []string{"/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"} {
		whole := true
		for _, plugin := range []string{"bridge", "host-local", "loopback", "portmap"} {
			if _, err := os.Stat(filepath.Join(dir, plugin)); err != nil {
				whole = false
			}
		}
		if whole {
			return dir
		}
	}
	return ""
}

var versionPattern = regexp.MustCompile(`\bv?(\d+)\.(\d+)\.\d+`)

func containerdVersion(ctx context.Context, path string) (string, error) {
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("%s --version: %w", path, err)
	}
	m := versionPattern.FindString(string(out))
	if m == "" {
		return "", fmt.Errorf("%s --version makes no sense: %q", path, out)
	}
	return m, nil
}

// olderThan compares major and minor versions.
func olderThan(version, oldest string) bool {
	major, minor := majorMinor(version)
	wantMajor, wantMinor := majorMinor(oldest + ".0")
	return major < wantMajor || major == wantMajor && minor < wantMinor
}

func majorMinor(version string) (major, minor int) {
	m := versionPattern.FindStringSubmatch(version)
	if m == nil {
		return 0, 0
	}
	major, _ = strconv.Atoi(m[1])
	minor, _ = strconv.Atoi(m[2])
	return major, minor
}
