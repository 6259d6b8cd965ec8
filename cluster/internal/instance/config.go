package instance

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/tatami-platform/tatami/internal/control"
)

// KubernetesVersion is the version that is linked in; a test compares it with
// go.mod.
const KubernetesVersion = "v1.37.2"

// DefaultName is the instance that `tatami up` starts when none is named.
const DefaultName = "tatami"

// Addresses inside the cluster. They need not be free on the host: the node has
// a network namespace of its own.
//
//nolint:gochecknoglobals // never written; netip has no constants
var (
	// NodeIP is the address of the real node and of DNS: that of its bridge,
	// which is the gateway of the pods.
	NodeIP = netip.MustParseAddr("10.244.0.1")
	// PodCIDR is the range of pod addresses on the real node.
	PodCIDR = netip.MustParsePrefix("10.244.0.0/16")
	// ServiceCIDR is the range of cluster IPs.
	ServiceCIDR = netip.MustParsePrefix("10.96.0.0/16")
	// APIServiceIP is the cluster IP of the service "kubernetes".
	APIServiceIP = netip.MustParseAddr("10.96.0.1")
	// DNSServiceIP is the cluster IP of DNS.
	DNSServiceIP = netip.MustParseAddr("10.96.0.10")
)

// ClusterDomain is the suffix of service names.
const ClusterDomain = "cluster.local"

// Config is what the server process is started with; `up` writes it.
type Config struct {
	Name      string `json:"name"`
	DataDir   string `json:"dataDir"`
	Port      int    `json:"port"`
	RealNode  bool   `json:"realNode"`
	Ephemeral bool   `json:"ephemeral"`
	Durable   bool   `json:"durable"`
	// ProgramsDir holds the helper programs of which images are made.
	ProgramsDir string `json:"programsDir"`
}

// Context is the kubeconfig context of the instance.
func Context(name string) string {
	if name == DefaultName {
		return DefaultName
	}
	return DefaultName + "-" + name
}

// NodeName is the name of the real node.
func (c Config) NodeName() string { return Context(c.Name) + "-node" }

// Cgroup is the cgroup below which everything of the instance runs.
func (c Config) Cgroup() string { return "/" + Context(c.Name) + ".platform" }

// Path joins elements to the data folder.
func (c Config) Path(elem ...string) string {
	return filepath.Join(append([]string{c.DataDir}, elem...)...)
}

// AdminKubeconfig is the instance's own kubeconfig, which is never merged away.
func (c Config) AdminKubeconfig() string { return c.Path("kubeconfig") }

// ContainerdSocket is where containerd listens.
func (c Config) ContainerdSocket() string { return c.Path("node", "containerd.sock") }

// longestSocketName is the longest socket path below the data folder; the
// kernel takes 107 bytes in all.
const longestSocketName = len("/node/containerd.sock.ttrpc")

const maxSocketPath = 107

// CheckDataDir refuses a data folder in which sockets could not be made.
func CheckDataDir(dir string) error {
	if !filepath.IsAbs(dir) {
		return fmt.Errorf("%s is not absolute", dir)
	}
	if limit := maxSocketPath - longestSocketName; len(dir) > limit {
		return &control.Problem{
			What: "the data folder's path is too long",
			Why:  fmt.Errorf("%s has %d characters; Unix sockets in it allow %d", dir, len(dir), limit),
			Next: "choose a shorter one with --data-dir",
		}
	}
	return nil
}

// marker is the first file in a data folder. Its presence tells a data folder
// of ours, complete or not, from a folder of the user's.
type marker struct {
	Format     int    `json:"format"`
	Kubernetes string `json:"kubernetes"`
	// Ephemeral folders are removed when their cluster ends.
	Ephemeral bool `json:"ephemeral,omitempty"`
}

// markerFormat grows when the layout changes in a way that an older program
// can't read.
const markerFormat = 1

// MarkerFile is present in every data folder of ours.
const MarkerFile = "tatami.json"

// Open makes the data folder, or checks that an existing one is ours and of a
// version that this program can take over. Files half written by a process that
// died are rewritten by their owners: every write is a rename.
func Open(c Config) error {
	if err := CheckDataDir(c.DataDir); err != nil {
		return err
	}
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return fmt.Errorf("create the data folder: %w", err)
	}
	raw, err := os.ReadFile(c.Path(MarkerFile))
	switch {
	case err == nil:
		if err := checkMarker(c, raw); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("read the data folder's marker: %w", err)
	default:
		if err := refuseForeign(c.DataDir); err != nil {
			return err
		}
	}
	raw, err = json.Marshal(marker{Format: markerFormat, Kubernetes: KubernetesVersion, Ephemeral: c.Ephemeral})
	if err != nil {
		return err
	}
	return WriteFile(c.Path(MarkerFile), raw)
}

// refuseForeign allows only what a dying first start may have left.
func refuseForeign(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read the data folder: %w", err)
	}
	for _, e := range entries {
		switch e.Name() {
		case lockFile, "lost+found":
		default:
			if isTemp(e.Name()) {
				continue
			}
			return &control.Problem{
				What: dir + " is not a Tatami data folder",
				Why:  fmt.Errorf("it holds %q and no %s", e.Name(), MarkerFile),
				Next: "choose an empty or new folder with --data-dir",
			}
		}
	}
	return nil
}

func checkMarker(c Config, raw []byte) error {
	var m marker
	if err := json.Unmarshal(raw, &m); err != nil {
		return &control.Problem{
			What: "the data folder's marker can't be read",
			Why:  fmt.Errorf("%s: %w", c.Path(MarkerFile), err),
			Next: "restore the file, or start anew with `tatami down --purge` and `tatami up`",
		}
	}
	if m.Ephemeral != c.Ephemeral {
		return keepingProblem(c, m.Ephemeral)
	}
	if m.Format > markerFormat {
		return versionProblem(c, fmt.Errorf("its layout is %d, this program knows %d", m.Format, markerFormat))
	}
	if err := upgradable(m.Kubernetes, KubernetesVersion); err != nil {
		return versionProblem(c, err)
	}
	return nil
}

// keepingProblem keeps `up --ephemeral` from removing data that was meant to
// stay.
func keepingProblem(c Config, ephemeral bool) error {
	p := &control.Problem{
		What: "the data in " + c.DataDir + " is meant to stay",
		Why:  errors.New("--ephemeral would remove it"),
		Next: "leave out --ephemeral, or name an empty folder with --data-dir",
	}
	if ephemeral {
		p.What = "the data in " + c.DataDir + " is what an ephemeral cluster left"
		p.Why = errors.New("it is not meant to stay")
		p.Next = "remove it with `tatami down`, or name another folder with --data-dir"
	}
	return p
}

func versionProblem(c Config, why error) error {
	return &control.Problem{
		What: "the data folder " + c.DataDir + " is of another version",
		Why:  why,
		Next: "use the version of Tatami that wrote it, another --data-dir, or `tatami down --purge` to start anew",
	}
}

// upgradable allows the same version and an upgrade by at most one minor, which
// is what Kubernetes supports for its stored objects.
func upgradable(from, to string) error {
	var a, b struct{ major, minor, patch int }
	if _, err := fmt.Sscanf(from, "v%d.%d.%d", &a.major, &a.minor, &a.patch); err != nil {
		return fmt.Errorf("the version %q in it makes no sense", from)
	}
	if _, err := fmt.Sscanf(to, "v%d.%d.%d", &b.major, &b.minor, &b.patch); err != nil {
		return fmt.Errorf("own Kubernetes version %q makes no sense", to)
	}
	newer := a.major > b.major || a.major == b.major && (a.minor > b.minor || a.minor == b.minor && a.patch > b.patch)
	if newer {
		return fmt.Errorf("it was written by Kubernetes %s, this program has %s", from, to)
	}
	if a.major != b.major || b.minor-a.minor > 1 {
		return fmt.Errorf("it was written by Kubernetes %s; %s can take over only from the minor version before it", from, to)
	}
	return nil
}
