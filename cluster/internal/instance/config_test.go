package instance

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tatami-platform/tatami/internal/control"
)

func TestKubernetesVersionIsTheOneThatIsLinked(t *testing.T) {
	raw, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^\s*k8s\.io/kubernetes (v\S+)`).FindSubmatch(raw)
	if m == nil {
		t.Fatal("go.mod does not require k8s.io/kubernetes")
	}
	if got := string(m[1]); got != KubernetesVersion {
		t.Errorf("KubernetesVersion is %s, go.mod links %s", KubernetesVersion, got)
	}
}

func TestAddressesFitTogether(t *testing.T) {
	if PodCIDR.Overlaps(ServiceCIDR) {
		t.Errorf("pods %s and services %s overlap", PodCIDR, ServiceCIDR)
	}
	for _, tt := range []struct {
		name  string
		addr  netip.Addr
		cidr  netip.Prefix
		first bool
	}{
		// The bridge plugin gives the gateway the first address of the range.
		{"node", NodeIP, PodCIDR, true},
		// The API server gives its own service the first address of the range.
		{"API service", APIServiceIP, ServiceCIDR, true},
		{"DNS service", DNSServiceIP, ServiceCIDR, false},
	} {
		if !tt.cidr.Contains(tt.addr) {
			t.Errorf("%s: %s is not in %s", tt.name, tt.addr, tt.cidr)
		}
		if first := tt.cidr.Masked().Addr().Next() == tt.addr; first != tt.first {
			t.Errorf("%s: %s is the first of %s: %t, want %t", tt.name, tt.addr, tt.cidr, first, tt.first)
		}
	}
}

func TestNames(t *testing.T) {
	for _, tt := range []struct{ name, context, node, cgroup string }{
		{"tatami", "tatami", "tatami-node", "/tatami.platform"},
		{"dev", "tatami-dev", "tatami-dev-node", "/tatami-dev.platform"},
		{"node", "tatami-node", "tatami-node-node", "/tatami-node.platform"},
	} {
		c := Config{Name: tt.name}
		if got := Context(tt.name); got != tt.context {
			t.Errorf("%s: context %s, want %s", tt.name, got, tt.context)
		}
		if got := c.NodeName(); got != tt.node {
			t.Errorf("%s: node %s, want %s", tt.name, got, tt.node)
		}
		if got := c.Cgroup(); got != tt.cgroup {
			t.Errorf("%s: cgroup %s, want %s", tt.name, got, tt.cgroup)
		}
	}
}

func TestCheckDataDir(t *testing.T) {
	limit := maxSocketPath - longestSocketName
	for _, tt := range []struct {
		name string
		dir  string
		ok   bool
		next bool
	}{
		{"relative", "data", false, false},
		{"empty", "", false, false},
		{"short", "/x", true, false},
		{"longest", "/" + strings.Repeat("x", limit-1), true, false},
		{"too long", "/" + strings.Repeat("x", limit), false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := CheckDataDir(tt.dir)
			if (err == nil) != tt.ok {
				t.Fatalf("error %v, want ok %t", err, tt.ok)
			}
			if next := control.NextStep(err) != ""; next != tt.next {
				t.Errorf("advice %q", control.NextStep(err))
			}
		})
	}
}

// TestLongestDataDirHoldsSockets asks the kernel, which is what the limit is
// about.
func TestLongestDataDirHoldsSockets(t *testing.T) {
	base, err := os.MkdirTemp("/tmp", "tt") //nolint:usetesting // sockets need a short path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	limit := maxSocketPath - longestSocketName
	dir := filepath.Join(base, strings.Repeat("x", limit-len(base)-1))
	if err := CheckDataDir(dir); err != nil {
		t.Fatal(err)
	}
	c := Config{DataDir: dir}
	if err := os.MkdirAll(filepath.Dir(c.ContainerdSocket()), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{c.ContainerdSocket(), c.ContainerdSocket() + ".ttrpc", c.Path("etcd.sock")} {
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Errorf("%d characters: %v", len(path), err)
			continue
		}
		_ = l.Close()
	}
}

func TestOpen(t *testing.T) {
	const older, newer = "v1.36.0", "v1.38.0"
	for _, tt := range []struct {
		name      string
		before    map[string]string
		ephemeral bool
		want      string // part of the error; empty for none
	}{
		{name: "new"},
		{name: "empty", before: map[string]string{}},
		{name: "a first start that died", before: map[string]string{".tmp-123": "{\"for", "lock": ""}},
		{name: "the root of a disk", before: map[string]string{"lost+found": ""}},
		{name: "same version", before: marked(1, KubernetesVersion, false)},
		{name: "same version, ephemeral", before: marked(1, KubernetesVersion, true), ephemeral: true},
		{name: "older minor", before: marked(1, older, false)},
		{name: "older patch", before: marked(1, "v1.37.0", false)},
		{name: "foreign", before: map[string]string{"thesis.tex": "x"}, want: "not a Tatami data folder"},
		{name: "foreign with a lock of its own", before: map[string]string{"lock": "", "db": "x"}, want: `it holds "db"`},
		{name: "newer minor", before: marked(1, newer, false), want: "another version"},
		{name: "newer patch", before: marked(1, "v1.37.99", false), want: "another version"},
		{name: "two minors older", before: marked(1, "v1.35.0", false), want: "another version"},
		{name: "other major", before: marked(1, "v0.37.2", false), want: "another version"},
		{name: "version that is none", before: marked(1, "latest", false), want: "makes no sense"},
		{name: "newer layout", before: marked(2, KubernetesVersion, false), want: "another version"},
		{name: "broken marker", before: map[string]string{MarkerFile: "{\"format\":"}, want: "marker can't be read"},
		{name: "empty marker", before: map[string]string{MarkerFile: ""}, want: "marker can't be read"},
		{name: "lasting data, ephemeral start", before: marked(1, KubernetesVersion, false), ephemeral: true, want: "meant to stay"},
		{name: "ephemeral rest, lasting start", before: marked(1, KubernetesVersion, true), want: "ephemeral cluster left"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := Config{DataDir: filepath.Join(t.TempDir(), "d"), Ephemeral: tt.ephemeral}
			fill(t, c.DataDir, tt.before)
			err := Open(c)
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				checkOpened(t, c)
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want one with %q", err, tt.want)
			}
			if control.NextStep(err) == "" {
				t.Error("no advice")
			}
			checkUnchanged(t, c.DataDir, tt.before)
		})
	}
}

func marked(format int, version string, ephemeral bool) map[string]string {
	return map[string]string{
		MarkerFile:       fmt.Sprintf(`{"format":%d,"kubernetes":%q,"ephemeral":%t}`, format, version, ephemeral),
		"etcd/data/some": "data",
	}
}

// fill writes files; a nil map leaves even the folder out.
func fill(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	if files == nil {
		return
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func checkUnchanged(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(raw) != content {
			t.Errorf("%s is now %q (%v)", name, raw, err)
		}
	}
}

// checkOpened wants the marker of this version, and that it opens again.
func checkOpened(t *testing.T, c Config) {
	t.Helper()
	raw, err := os.ReadFile(c.Path(MarkerFile))
	if err != nil {
		t.Fatal(err)
	}
	var m marker
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	if want := (marker{Format: markerFormat, Kubernetes: KubernetesVersion, Ephemeral: c.Ephemeral}); m != want {
		t.Errorf("marker %+v, want %+v", m, want)
	}
	if st, err := os.Stat(c.DataDir); err != nil || st.Mode().Perm()&0o077 != 0 {
		t.Errorf("mode %v (%v): others can look in", st.Mode(), err)
	}
	if err := Open(c); err != nil {
		t.Errorf("opened again: %v", err)
	}
}

func TestOpenSaysWhatStandsInTheWay(t *testing.T) {
	base := t.TempDir()
	file := filepath.Join(base, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		err := Open(Config{DataDir: dir})
		var path *os.PathError
		if !errors.As(err, &path) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: error %v does not name the file in the way", dir, err)
		}
	}
	if err := Open(Config{DataDir: "relative"}); err == nil {
		t.Error("a relative data folder was opened")
	}
}

func TestUpgradable(t *testing.T) {
	for _, tt := range []struct {
		from, to string
		ok       bool
	}{
		{"v1.37.2", "v1.37.2", true},
		{"v1.37.1", "v1.37.2", true},
		{"v1.36.9", "v1.37.0", true},
		{"v1.37.2", "v1.37.1", false},
		{"v1.38.0", "v1.37.9", false},
		{"v1.35.9", "v1.37.0", false},
		{"v2.0.0", "v1.37.0", false},
		{"v1.37.0", "v2.0.0", false},
		{"v1.37.10", "v1.37.9", false},
		{"v1.9.0", "v1.10.0", true},
		{"", "v1.37.2", false},
		{"1.37.2", "v1.37.2", false},
		{"v1.37", "v1.37.2", false},
		{"v1.37.2", "main", false},
	} {
		if err := upgradable(tt.from, tt.to); (err == nil) != tt.ok {
			t.Errorf("%q to %q: %v, want ok %t", tt.from, tt.to, err, tt.ok)
		}
	}
}

// FuzzCheckMarker: whatever the marker holds, Open either takes the folder over
// or gives advice; it never panics and never takes over a newer version.
func FuzzCheckMarker(f *testing.F) {
	for _, seed := range []string{
		"", "null", "[]", "{}", `{"format":1}`, `{"format":1,"kubernetes":"v1.37.2"}`, `{"format":-1,"kubernetes":"v1.36.2"}`,
		`{"format":1,"kubernetes":"v1.37.99999999999999999999"}`, `{"format":"1"}`, `{"format":1,"kubernetes":"v1.36.0","ephemeral":true}`,
	} {
		f.Add(seed)
	}
	near := regexp.MustCompile(`^v\+?0*1\.\+?0*3[67]\.`)
	f.Fuzz(func(t *testing.T, raw string) {
		err := checkMarker(Config{DataDir: "/d"}, []byte(raw))
		var m marker
		if err != nil {
			if control.NextStep(err) == "" {
				t.Errorf("no advice in %v", err)
			}
			return
		}
		if jerr := json.Unmarshal([]byte(raw), &m); jerr != nil || m.Format > markerFormat || m.Ephemeral {
			t.Errorf("%q was taken over", raw)
		}
		if !near.MatchString(m.Kubernetes) {
			t.Errorf("version %q was taken over", m.Kubernetes)
		}
	})
}
