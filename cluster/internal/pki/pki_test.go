package pki

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/tatami-platform/tatami/cluster/internal/instance"
)

const (
	day      = 24 * time.Hour
	internal = "https://10.244.0.1:6443"
)

// start is any moment; no test depends on today's date.
func start() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// folder lies in memory where it can: the files are flushed to disk one by one.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "tt") //nolint:usetesting // memory, for speed
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func ensured(t *testing.T, now time.Time) instance.Config {
	t.Helper()
	c := instance.Config{Name: "x", DataDir: folder(t), Port: 7443}
	if err := Ensure(c, internal, now); err != nil {
		t.Fatal(err)
	}
	return c
}

// snapshot maps the files of the folder to their content.
func snapshot(t *testing.T, c instance.Config) map[string]string {
	t.Helper()
	files := map[string]string{}
	entries, err := os.ReadDir(Dir(c))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		raw, err := os.ReadFile(File(c, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(raw)
	}
	return files
}

// verify asks crypto/x509, as every peer will, whether a certificate holds at a
// time for a use and, for servers, for each of the names.
func verify(t *testing.T, c instance.Config, authority string, l Leaf, now time.Time) error {
	t.Helper()
	roots := x509.NewCertPool()
	ca, err := os.ReadFile(File(c, authority+".crt"))
	if err != nil || !roots.AppendCertsFromPEM(ca) {
		t.Fatalf("authority: %v", err)
	}
	raw, err := os.ReadFile(File(c, l.Name+".crt"))
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode(raw)
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		t.Fatalf("%s.crt is not one block of PEM", l.Name)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	use := x509.ExtKeyUsageClientAuth
	names := []string{""}
	if len(l.DNSNames)+len(l.IPs) > 0 {
		use = x509.ExtKeyUsageServerAuth
		names = slices.Clone(l.DNSNames)
		for _, ip := range l.IPs {
			names = append(names, ip.String())
		}
	}
	var errs []error
	for _, name := range names {
		_, err := cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, DNSName: name, KeyUsages: []x509.ExtKeyUsage{use}})
		errs = append(errs, err)
	}
	if cert.Subject.CommonName != l.CommonName || !slices.Equal(cert.Subject.Organization, l.Organizations) {
		t.Errorf("%s: subject %s", l.Name, cert.Subject)
	}
	return errors.Join(errs...)
}

func verifyAll(t *testing.T, c instance.Config, now time.Time) {
	t.Helper()
	for _, l := range leaves(c) {
		if err := verify(t, c, "ca", l, now); err != nil {
			t.Errorf("%s at %s: %v", l.Name, now.Format(time.DateOnly), err)
		}
	}
	front := Leaf{Name: "front-proxy-client", CommonName: "front-proxy-client"}
	if err := verify(t, c, "front-proxy-ca", front, now); err != nil {
		t.Errorf("front proxy: %v", err)
	}
	if err := verify(t, c, "ca", front, now); err == nil {
		t.Error("the front proxy's certificate also holds for the cluster's authority")
	}
}

func TestEnsure(t *testing.T) {
	c := ensured(t, start())
	verifyAll(t, c, start())
	before := snapshot(t, c)
	for name := range before {
		st, err := os.Stat(File(c, name))
		if err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v (%v), want 0600", name, st.Mode(), err)
		}
	}
	if err := Ensure(c, internal, start().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if after := snapshot(t, c); !maps.Equal(before, after) {
		t.Error("a second start an hour later made something anew")
	}
}

func TestNoLeafHasTwoUsesOrSigns(t *testing.T) {
	c := ensured(t, start())
	serials := map[string]string{}
	for _, l := range append(leaves(c), Leaf{Name: "front-proxy-client"}) {
		cert, _, err := load(Dir(c), l.Name)
		if err != nil {
			t.Fatal(err)
		}
		if len(cert.ExtKeyUsage) != 1 || cert.IsCA || cert.KeyUsage&x509.KeyUsageCertSign != 0 {
			t.Errorf("%s: uses %v, authority %t", l.Name, cert.ExtKeyUsage, cert.IsCA)
		}
		if other := serials[cert.SerialNumber.String()]; other != "" {
			t.Errorf("%s and %s share a serial number", l.Name, other)
		}
		serials[cert.SerialNumber.String()] = l.Name
	}
}

// TestServerNames: the names under which pods, components and people reach the
// API server.
func TestServerNames(t *testing.T) {
	c := ensured(t, start())
	cert, _, err := load(Dir(c), "apiserver")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"127.0.0.1", "10.244.0.1", "10.96.0.1", "localhost", "kubernetes", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
	} {
		if err := cert.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"10.0.0.1", "example.com", "x.localhost"} {
		if cert.VerifyHostname(name) == nil {
			t.Errorf("it also holds for %s", name)
		}
	}
}

// TestClock: a clock that jumps between starts, or while the cluster runs, must
// not lock anybody out.
func TestClock(t *testing.T) {
	for _, days := range []int{-300, -1, 1, 300, 600, 1000, 3000, 4000} {
		jumped := start().Add(time.Duration(days) * day)
		c := ensured(t, start())
		if days <= 300 {
			verifyAll(t, c, jumped)
		}
		if err := Ensure(c, internal, jumped); err != nil {
			t.Errorf("%d days: %v", days, err)
		}
		verifyAll(t, c, jumped)
	}
}

func TestRenewal(t *testing.T) {
	renewal := start().Add(leafLife - renewBefore)
	for _, tt := range []struct {
		name  string
		at    time.Time
		renew bool
	}{
		{"half a year before the end", renewal, false},
		{"a second later", renewal.Add(time.Second), true},
		{"after the end", start().Add(leafLife + day), true},
		{"before the beginning", start().Add(-backdate - time.Second), true},
		{"at the beginning", start().Add(-backdate), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := ensured(t, start())
			before := snapshot(t, c)
			if err := Ensure(c, internal, tt.at); err != nil {
				t.Fatal(err)
			}
			after := snapshot(t, c)
			for _, l := range leaves(c) {
				for _, end := range []string{".crt", ".key"} {
					if renewed := before[l.Name+end] != after[l.Name+end]; renewed != tt.renew {
						t.Errorf("%s renewed: %t, want %t", l.Name+end, renewed, tt.renew)
					}
				}
			}
			// What others hold copies of stays.
			for _, name := range []string{"ca.crt", "ca.key", "front-proxy-ca.crt", "service-account.key"} {
				if before[name] != after[name] {
					t.Errorf("%s was made anew", name)
				}
			}
			if kc := after[Kubelet+".kubeconfig"] != before[Kubelet+".kubeconfig"]; kc != tt.renew {
				t.Errorf("kubeconfig with the new certificate: %t, want %t", kc, tt.renew)
			}
		})
	}
}

func TestLeafFollowsItsDescription(t *testing.T) {
	base := Leaf{Name: "l", CommonName: "n", Organizations: []string{"o"}, DNSNames: []string{"d"}, IPs: []net.IP{net.IPv4(10, 0, 0, 1)}}
	for _, tt := range []struct {
		name   string
		change func(*Leaf)
		anew   bool
	}{
		{"same", func(*Leaf) {}, false},
		{"the same address in four bytes", func(l *Leaf) { l.IPs = []net.IP{net.IPv4(10, 0, 0, 1).To4()} }, false},
		{"other address", func(l *Leaf) { l.IPs = []net.IP{net.IPv4(10, 0, 0, 2)} }, true},
		{"further address", func(l *Leaf) { l.IPs = append(slices.Clone(l.IPs), net.IPv4(10, 0, 0, 2)) }, true},
		{"other name", func(l *Leaf) { l.DNSNames = []string{"e"} }, true},
		{"no names", func(l *Leaf) { l.DNSNames, l.IPs = nil, nil }, true},
		{"other user", func(l *Leaf) { l.CommonName = "m" }, true},
		{"other group", func(l *Leaf) { l.Organizations = []string{"system:masters"} }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			ca, err := EnsureAuthority(dir, "ca", start())
			if err != nil {
				t.Fatal(err)
			}
			l := base
			for range 2 {
				if err := ca.EnsureLeaf(l, start()); err != nil {
					t.Fatal(err)
				}
			}
			before, _, err := load(dir, "l")
			if err != nil {
				t.Fatal(err)
			}
			tt.change(&l)
			if err := ca.EnsureLeaf(l, start()); err != nil {
				t.Fatal(err)
			}
			after, _, err := load(dir, "l")
			if err != nil {
				t.Fatal(err)
			}
			if anew := !before.Equal(after); anew != tt.anew {
				t.Errorf("made anew: %t, want %t", anew, tt.anew)
			}
		})
	}
}

// TestCrash takes away or mixes up any file, as a crash between two writes
// leaves them; the next start must give a whole that verifies.
func TestCrash(t *testing.T) {
	c := ensured(t, start())
	whole := snapshot(t, c)
	other := snapshot(t, ensured(t, start()))
	for name := range whole {
		for what, content := range map[string]string{"missing": "", "of another attempt": other[name]} {
			if what == "of another attempt" && strings.HasSuffix(name, ".kubeconfig") {
				continue
			}
			t.Run(name+" "+what, func(t *testing.T) {
				restore(t, c, whole)
				if content == "" {
					if err := os.Remove(File(c, name)); err != nil {
						t.Fatal(err)
					}
				} else if err := os.WriteFile(File(c, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
				if err := Ensure(c, internal, start()); err != nil {
					t.Fatal(err)
				}
				verifyAll(t, c, start())
				for pair := range whole {
					if base, ok := strings.CutSuffix(pair, ".crt"); ok {
						if _, err := tls.LoadX509KeyPair(File(c, pair), File(c, base+".key")); err != nil {
							t.Errorf("%s: %v", base, err)
						}
					}
				}
				checkKubeconfigs(t, c)
			})
		}
	}
}

func restore(t *testing.T, c instance.Config, files map[string]string) {
	t.Helper()
	for name, content := range files {
		if err := os.WriteFile(File(c, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// checkKubeconfigs wants what is in them to be what lies beside them.
func checkKubeconfigs(t *testing.T, c instance.Config) {
	t.Helper()
	for component, server := range map[string]string{
		Admin: "https://127.0.0.1:7443", ControllerManager: internal, Scheduler: internal, Kubelet: internal, KubeProxy: internal, DNS: internal,
	} {
		path := Kubeconfig(c, component)
		if component == Admin {
			path = c.AdminKubeconfig()
		}
		cfg, err := clientcmd.BuildConfigFromFlags("", path)
		if err != nil {
			t.Errorf("%s: %v", component, err)
			continue
		}
		if cfg.Host != server {
			t.Errorf("%s goes to %s, want %s", component, cfg.Host, server)
		}
		for name, got := range map[string][]byte{
			"ca.crt": cfg.CAData, component + ".crt": cfg.CertData, component + ".key": cfg.KeyData,
		} {
			if want, err := os.ReadFile(File(c, name)); err != nil || !bytes.Equal(want, got) {
				t.Errorf("%s holds an old %s (%v)", component, name, err)
			}
		}
	}
}

// TestAdminKubeconfig is what people get merged into theirs.
func TestAdminKubeconfig(t *testing.T) {
	c := ensured(t, start())
	kc, err := EmbeddedKubeconfig(c, Admin, "https://127.0.0.1:7443")
	if err != nil {
		t.Fatal(err)
	}
	if kc.CurrentContext != "tatami-x" || kc.Contexts["tatami-x"] == nil || len(kc.Contexts) != 1 {
		t.Errorf("contexts %v, current %s", kc.Contexts, kc.CurrentContext)
	}
	if _, err := EmbeddedKubeconfig(c, "nobody", ""); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("unknown component: %v", err)
	}
}

// TestDamage: what a crash can't cause is reported, not thrown away: it may be
// the only key to the data.
func TestDamage(t *testing.T) {
	for _, name := range []string{"ca.key", "ca.crt", "apiserver.crt", "apiserver.key"} {
		for what, content := range map[string]string{"no PEM": "x", "no content": "-----BEGIN X-----\nAAAA\n-----END X-----\n"} {
			c := ensured(t, start())
			if err := os.WriteFile(File(c, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			err := Ensure(c, internal, start())
			if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), Dir(c)) {
				t.Errorf("%s with %s: error %v does not name it", name, what, err)
			}
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Ensure(instance.Config{Name: "x", DataDir: file}, internal, start()); err == nil {
		t.Error("no error where no folder can be made")
	}
}

func TestFirstExpiry(t *testing.T) {
	c := ensured(t, start())
	name, end, err := FirstExpiry(c)
	if err != nil || !end.Equal(start().Add(leafLife)) {
		t.Errorf("%s ends %s (%v), want %s", name, end, err, start().Add(leafLife))
	}
	ca, err := EnsureAuthority(Dir(c), "ca", start())
	if err != nil {
		t.Fatal(err)
	}
	l := leaves(c)[5]
	if err := os.Remove(File(c, l.Name+".crt")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := FirstExpiry(c); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without %s: %v", l.Name, err)
	}
	if err := ca.EnsureLeaf(l, start().Add(-30*day)); err != nil {
		t.Fatal(err)
	}
	if name, end, err = FirstExpiry(c); err != nil || name != l.Name || !end.Equal(start().Add(leafLife-30*day)) {
		t.Errorf("%s ends %s (%v), want %s", name, end, err, l.Name)
	}
}
