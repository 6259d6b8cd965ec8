package config

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
)

// recorder is a proxy that remembers what it was told.
type recorder struct {
	mu      sync.Mutex
	configs []*connect.Config
	errs    []error
	refuse  error
}

func (r *recorder) apply(c *connect.Config) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse != nil {
		return r.refuse
	}
	r.configs = append(r.configs, c)
	return nil
}

func (r *recorder) report(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, err)
}

func (r *recorder) setRefuse(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse = err
}

func (r *recorder) counts() (configs, errs int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.configs), len(r.errs)
}

func (r *recorder) last() *connect.Config {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.configs[len(r.configs)-1]
}

func (r *recorder) lastError() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.errs[len(r.errs)-1]
}

// until waits for a number of configurations and of errors.
func (r *recorder) until(t *testing.T, configs, errs int) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		if c, e := r.counts(); c == configs && e == errs {
			return
		}
		time.Sleep(time.Millisecond)
	}
	c, e := r.counts()
	t.Fatalf("got %d configurations and %d errors, want %d and %d; errors: %v", c, e, configs, errs, r.errs)
}

const interval = 5 * time.Millisecond

// watch starts a Watch that the test's end stops.
func watch(t *testing.T, path string, reload <-chan os.Signal) *recorder {
	t.Helper()
	r := &recorder{}
	follow(t, func(ctx context.Context) error {
		return Watch(ctx, WatchOptions{Path: path, Interval: interval, Reload: reload, Report: r.report}, r.apply)
	})
	r.until(t, 1, 0)
	return r
}

func follow(t *testing.T, run func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// put replaces a file in one step, as whoever writes for a watcher should.
func put(t *testing.T, path, text string) {
	t.Helper()
	hidden := filepath.Join(filepath.Dir(path), "."+filepath.Base(path))
	if err := os.WriteFile(hidden, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(hidden, path); err != nil {
		t.Fatal(err)
	}
}

func TestWatchFile(t *testing.T) {
	path := filepath.Join(write(t, map[string]string{"a.yaml": "clusters: [{name: a}, {name: b}]"}), "a.yaml")
	r := watch(t, path, nil)
	first := r.last()

	put(t, path, "clusters: [{name: a}, {name: b, service: x}]")
	r.until(t, 2, 0)
	second := r.last()
	if second.Clusters[0] != first.Clusters[0] {
		t.Error("an unchanged cluster has another pointer")
	}
	if second.Clusters[1] == first.Clusters[1] || second.Clusters[1].Service != "x" || second.Version == first.Version {
		t.Errorf("a changed cluster was not taken: %+v", second.Clusters[1])
	}

	// The same size and another content, once more.
	put(t, path, "clusters: [{name: a}, {name: b, service: y}]")
	r.until(t, 3, 0)
	// A comment is another version with the same resources.
	put(t, path, "clusters: [{name: a}, {name: b, service: y}] #")
	r.until(t, 4, 0)
	if !slices.Equal(r.last().Clusters, r.configs[2].Clusters) {
		t.Error("a comment changed resources")
	}

	put(t, path, "clusters: [{name: a}, {name: ")
	r.until(t, 4, 1)
	put(t, path, "clusters: [{name: a}, {name: ''}]")
	r.until(t, 4, 2)
	// Another time alone is no change.
	if err := os.Chtimes(path, time.Now(), time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * interval)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	r.until(t, 4, 3)
	if !errors.Is(r.lastError(), os.ErrNotExist) {
		t.Errorf("got %v, want that the file is gone", r.lastError())
	}
	time.Sleep(10 * interval) // Nothing may be told twice.
	put(t, path, "clusters: [{name: c}]")
	r.until(t, 5, 3)
}

// TestWatchConfigMap swaps a link as the kubelet does.
func TestWatchConfigMap(t *testing.T) {
	dir := write(t, map[string]string{"..1/a.yaml": "clusters: [{name: a}]", "..2/a.yaml": "clusters: [{name: b}]"})
	link := func(to, name string) {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("..1", "..data")
	link("..data/a.yaml", "a.yaml")
	r := watch(t, dir, nil)
	link("..2", "..tmp")
	if err := os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	r.until(t, 2, 0)
	if name := r.last().Clusters[0].Name; name != "b" {
		t.Errorf("cluster %s, want b", name)
	}
	put(t, filepath.Join(dir, "b.yaml"), "clusters: [{name: c}]")
	r.until(t, 3, 0)
}

// TestWatchHalfWritten writes a file piece by piece, each of which is valid, with
// a look at it after each, and never lets a piece be taken.
func TestWatchHalfWritten(t *testing.T) {
	path := filepath.Join(write(t, map[string]string{"a.yaml": "clusters: [{name: a}]"}), "a.yaml")
	r := &recorder{}
	w := &watcher{options: WatchOptions{Path: path, Report: r.report}, state: NewState(connect.Node{}, r.apply)}
	if err := w.read(); err != nil {
		t.Fatal(err)
	}
	w.tick()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, piece := range []string{"", "clusters:\n", "- name: a\n", "- name: b\n", "- name: c\n", "- name: d\n"} {
		if _, err := f.WriteString(piece); err != nil {
			t.Fatal(err)
		}
		w.tick()
		if configs, errs := r.counts(); configs != 1 || errs != 0 {
			t.Fatalf("after %q: %d configurations and %d errors, want the first alone", piece, configs, errs)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	w.tick()
	r.until(t, 2, 0)
	if n := len(r.last().Clusters); n != 4 {
		t.Errorf("%d clusters, want 4", n)
	}
}

func TestReload(t *testing.T) {
	path := filepath.Join(write(t, map[string]string{"a.yaml": "clusters: [{name: a}]"}), "a.yaml")
	r := &recorder{}
	reload := make(chan os.Signal, 1)
	follow(t, func(ctx context.Context) error {
		return Watch(ctx, WatchOptions{Path: path, Interval: time.Hour, Reload: reload, Report: r.report}, r.apply)
	})
	r.until(t, 1, 0)
	put(t, path, "clusters: [{name: b}]")
	reload <- syscall.SIGHUP
	r.until(t, 2, 0)
	put(t, path, "clusters: {}")
	reload <- syscall.SIGHUP
	r.until(t, 2, 1)
	reload <- syscall.SIGHUP // Whoever asks again is told again.
	r.until(t, 2, 2)
	close(reload)
}

func TestApplyRefuses(t *testing.T) {
	path := filepath.Join(write(t, map[string]string{"a.yaml": "clusters: [{name: a}]"}), "a.yaml")
	r := watch(t, path, nil)
	r.setRefuse(errors.New("the address is in use"))
	put(t, path, "clusters: [{name: b}]")
	r.until(t, 1, 1)
	if err := r.lastError(); !strings.Contains(err.Error(), "apply: the address is in use") {
		t.Errorf("got %v", err)
	}
	r.setRefuse(nil)
	put(t, path, "clusters: [{name: c}]")
	r.until(t, 2, 1)

	r.setRefuse(errors.New("no"))
	if err := Watch(t.Context(), WatchOptions{Path: path}, r.apply); err == nil {
		t.Error("a first configuration that is refused does not end Watch")
	}
}

func TestCertificateFilesAreWatched(t *testing.T) {
	chain, key := newCertificate(t)
	dir := write(t, map[string]string{
		"a.yaml":  "certificates: [{name: site, chainFile: tls.crt, keyFile: tls.key}]\ntrustBundles: [{name: ca, file: ca.crt}]",
		"tls.crt": chain, "tls.key": key, "ca.crt": chain,
	})
	r := watch(t, filepath.Join(dir, "a.yaml"), nil)
	first := r.last()
	if string(first.Certificates[0].ChainPEM) != chain || string(first.Certificates[0].KeyPEM) != key || string(first.TrustBundles[0].PEM) != chain {
		t.Fatal("the files were not read")
	}

	// Chain and key are two files: between them they do not belong together.
	chain, key = newCertificate(t)
	put(t, filepath.Join(dir, "tls.crt"), chain)
	r.until(t, 1, 1)
	if err := r.lastError(); !strings.Contains(err.Error(), "certificates[0]: chain and key cannot be used") {
		t.Errorf("got %v", err)
	}
	put(t, filepath.Join(dir, "tls.key"), key)
	r.until(t, 2, 1)
	second := r.last()
	if string(second.Certificates[0].ChainPEM) != chain || second.TrustBundles[0] != first.TrustBundles[0] {
		t.Error("not the certificate alone was changed")
	}
	if err := os.Remove(filepath.Join(dir, "ca.crt")); err != nil {
		t.Fatal(err)
	}
	r.until(t, 2, 2)
	put(t, filepath.Join(dir, "ca.crt"), chain)
	r.until(t, 3, 2)
}

// TestCertificateComesLater refuses a configuration for a file that is missing and
// takes it when the file is there.
func TestCertificateComesLater(t *testing.T) {
	dir := write(t, map[string]string{"a.yaml": "clusters: [{name: a}]"})
	r := watch(t, filepath.Join(dir, "a.yaml"), nil)
	put(t, filepath.Join(dir, "a.yaml"), "trustBundles: [{name: ca, file: ca.crt}]")
	r.until(t, 1, 1)
	chain, _ := newCertificate(t)
	put(t, filepath.Join(dir, "ca.crt"), chain)
	r.until(t, 2, 1)
}

func TestHold(t *testing.T) {
	chain, key := newCertificate(t)
	dir := write(t, map[string]string{"tls.crt": chain, "tls.key": key})
	c, err := Simple{
		Listen: "127.0.0.1:0", Backends: []string{"127.0.0.1:9000"},
		TLSCert: filepath.Join(dir, "tls.crt"), TLSKey: filepath.Join(dir, "tls.key"),
	}.Config(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{}
	follow(t, func(ctx context.Context) error {
		return Hold(ctx, c, WatchOptions{Interval: interval, Report: r.report}, r.apply)
	})
	r.until(t, 1, 0)
	old := r.last()
	chain, key = newCertificate(t)
	put(t, filepath.Join(dir, "tls.crt"), chain)
	put(t, filepath.Join(dir, "tls.key"), key)
	deadline := time.Now().Add(10 * time.Second)
	for string(r.last().Certificates[0].ChainPEM) != chain {
		if time.Now().After(deadline) {
			t.Fatal("the new certificate was not taken")
		}
		time.Sleep(time.Millisecond)
	}
	if r.last().Listeners[0] != old.Listeners[0] {
		t.Error("the listener changed with its certificate")
	}
}
