//go:build linux

package faults

import (
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// snapshot is what a host holds, one list of lines for each kind of thing. The
// lines must be the same before and after a cluster.
type snapshot map[string][]string

// hostFolders are those that container engines and Kubernetes use by habit.
func hostFolders() []string {
	return []string{
		"/etc/cni", "/etc/containerd", "/etc/kubernetes", "/opt/cni", "/run/cni", "/run/containerd", "/run/flannel", "/run/netns",
		"/usr/libexec/kubernetes", "/var/lib/cni", "/var/lib/containerd", "/var/lib/kubelet", "/var/lib/kube-proxy",
		"/var/lib/etcd", "/var/log/containers", "/var/log/pods", "/var/run/kubernetes",
	}
}

// sysctls belong to the whole machine and not to a namespace.
func sysctls() []string {
	return []string{
		"kernel/core_pattern", "kernel/keys/root_maxbytes", "kernel/keys/root_maxkeys", "kernel/panic", "kernel/panic_on_oops",
		"net/bridge/bridge-nf-call-iptables", "net/ipv4/conf/all/route_localnet", "net/ipv4/ip_forward",
		"net/netfilter/nf_conntrack_max", "vm/overcommit_memory", "vm/panic_on_oom",
	}
}

// takeSnapshot looks at the host as the test sees it. Clusters of other tests may
// run meanwhile; they keep to their own namespaces and cgroups.
func takeSnapshot(t *testing.T, c *cluster) snapshot {
	t.Helper()
	s := snapshot{
		"mount":     mounts(t, c),
		"interface": interfaces(t),
		"cgroup":    cgroups(t, c),
		"socket":    sockets(t, c),
		"nft":       command(t, "nft", "-s", "list", "ruleset"),
		"iptables":  command(t, "iptables-save"),
		"ip6tables": command(t, "ip6tables-save"),
	}
	// How often a route is referred to and was used says nothing about who made it.
	for name, counters := range map[string][2]int{"/proc/net/route": {4, 5}, "/proc/net/ipv6_route": {6, 7}} {
		raw, err := os.ReadFile(name)
		if err == nil {
			s["route"] = append(s["route"], without(string(raw), counters)...)
		}
	}
	for _, key := range sysctls() {
		raw, err := os.ReadFile("/proc/sys/" + key)
		if err == nil {
			s["sysctl"] = append(s["sysctl"], key+" = "+strings.TrimSpace(string(raw)))
		}
	}
	for _, dir := range append(hostFolders(), filepath.Join(c.base, "home"), filepath.Join(c.base, "tmp")) {
		s["folder"] = append(s["folder"], listing(dir)...)
	}
	return s
}

// without leaves two columns out of a table of the kernel's.
func without(table string, columns [2]int) []string {
	var lines []string
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		for _, i := range columns {
			if i < len(fields) {
				fields[i] = "-"
			}
		}
		lines = append(lines, strings.Join(fields, " "))
	}
	return lines
}

// diff lists what was added and what was taken away.
func (s snapshot) diff(after snapshot) []string {
	var out []string
	for _, kind := range slices.Sorted(maps.Keys(s)) {
		for _, line := range after[kind] {
			if !slices.Contains(s[kind], line) {
				out = append(out, fmt.Sprintf("left behind: %s: %s", kind, line))
			}
		}
		for _, line := range s[kind] {
			if !slices.Contains(after[kind], line) {
				out = append(out, fmt.Sprintf("taken away: %s: %s", kind, line))
			}
		}
	}
	return out
}

// ofOtherTest knows the folders of tests that run beside this one.
func ofOtherTest(c *cluster, line string) bool {
	return strings.Contains(line, "/tmp/tt") && !strings.Contains(line, c.base)
}

// mounts leaves out the numbers, which the kernel gives anew.
func mounts(t *testing.T, c *cluster) []string {
	t.Helper()
	raw, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for line := range strings.Lines(string(raw)) {
		if f := strings.Fields(line); len(f) > 6 && !ofOtherTest(c, line) {
			out = append(out, strings.Join(append(f[3:6], f[len(f)-3:]...), " "))
		}
	}
	return out
}

func interfaces(t *testing.T) []string {
	t.Helper()
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, i := range all {
		addrs, err := i.Addrs()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s %s %v", i.Name, i.Flags, addrs))
	}
	return out
}

var (
	// containerGroup matches cgroups that a cluster could have made; those of the
	// host's other programs come and go.
	containerGroup = regexp.MustCompile(`tatami|kube|containerd|runc|cri|k8s|pod|/default`)
	// otherPlatform matches those of clusters that other tests run.
	otherPlatform = regexp.MustCompile(`/tatami[^/]*\.platform(/|$)`)
)

func cgroups(t *testing.T, c *cluster) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil //nolint:nilerr // groups come and go
		}
		if strings.Contains(path, c.name) || containerGroup.MatchString(path) && !otherPlatform.MatchString(path) {
			out = append(out, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// sockets lists the Unix sockets with a name that belong to container engines,
// Kubernetes, or the data folder.
func sockets(t *testing.T, c *cluster) []string {
	t.Helper()
	raw, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for line := range strings.Lines(string(raw)) {
		f := strings.Fields(line)
		if len(f) < 8 || ofOtherTest(c, line) {
			continue
		}
		for _, word := range []string{c.base, c.name, "containerd", "kubelet", "cni", "etcd"} {
			if strings.Contains(f[7], word) {
				out = append(out, f[7])
				break
			}
		}
	}
	return out
}

// volatileLine is a comment with the time, or the counters of a chain.
var volatileLine = regexp.MustCompile(`(?m)^#.*$|\[\d+:\d+\]`)

// command returns the lines that a program prints; a host without it has no
// rules that it could show.
func command(t *testing.T, name string, args ...string) []string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/" + name); err != nil {
			return nil
		}
	}
	out, err := exec.CommandContext(t.Context(), path, args...).Output()
	if err != nil {
		// A kernel without IPv6 or without the old tables.
		return []string{"fails"}
	}
	return strings.Split(volatileLine.ReplaceAllString(string(out), ""), "\n")
}

// listing names what lies in a folder, three levels deep.
func listing(root string) []string {
	out := []string{}
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // a folder that does not exist holds nothing
		}
		out = append(out, path)
		if d.IsDir() && strings.Count(strings.TrimPrefix(path, root), "/") >= 3 {
			return fs.SkipDir
		}
		return nil
	})
	return out
}

// family is the processes and namespaces of a cluster while it runs.
type family struct {
	cluster    *cluster
	namespaces map[string]bool
}

// recordFamily finds the cluster's processes by what they can't hide: their
// environment, their command line, their cgroup.
func recordFamily(c *cluster) family {
	f := family{cluster: c, namespaces: map[string]bool{}}
	own := namespacesOf(os.Getpid())
	for _, pid := range allPIDs() {
		if !f.isMember(pid) {
			continue
		}
		for _, ns := range namespacesOf(pid) {
			if !slices.Contains(own, ns) {
				f.namespaces[ns] = true
			}
		}
	}
	return f
}

func (f family) isMember(pid int) bool {
	c := f.cluster
	if pid == os.Getpid() {
		return false
	}
	for _, name := range []string{"environ", "cmdline", "cgroup"} {
		raw, err := os.ReadFile(procFile(pid, name))
		if err != nil {
			continue
		}
		if strings.Contains(string(raw), c.dir+"\x00") || strings.Contains(string(raw), mark+"="+c.name) ||
			strings.Contains(string(raw), c.name+".platform") {
			return true
		}
	}
	return false
}

// alive lists what is left of the family.
func (f family) alive() []string {
	var left []string
	for _, pid := range allPIDs() {
		raw, _ := os.ReadFile(procFile(pid, "comm"))
		comm := strings.TrimSpace(string(raw))
		if f.isMember(pid) {
			left = append(left, fmt.Sprintf("left behind: process %d %s", pid, comm))
		}
		for _, ns := range namespacesOf(pid) {
			if f.namespaces[ns] {
				left = append(left, fmt.Sprintf("left behind: %s held by process %d %s", ns, pid, comm))
			}
		}
	}
	return left
}

// namespacesOf is empty for a process that has ended, waited for or not.
func namespacesOf(pid int) []string {
	var out []string
	for _, kind := range []string{"net", "pid", "mnt", "uts", "ipc"} {
		if link, err := os.Readlink(procFile(pid, "ns/"+kind)); err == nil {
			out = append(out, link)
		}
	}
	return out
}

// mustBeGone compares the host with what it was. Other programs of the machine
// may change things for a moment, so it looks more than once.
func mustBeGone(t *testing.T, c *cluster, before snapshot, f family) {
	t.Helper()
	var left []string
	for range 20 {
		if left = append(before.diff(takeSnapshot(t, c)), f.alive()...); len(left) == 0 {
			return
		}
		time.Sleep(250 * time.Millisecond)
	}
	t.Error(strings.Join(left, "\n"))
}
