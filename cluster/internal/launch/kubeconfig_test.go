package launch

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/tatami-platform/tatami/cluster/internal/instance"
	"github.com/tatami-platform/tatami/cluster/internal/pki"
	"github.com/tatami-platform/tatami/internal/control"
)

// foreign is a kubeconfig as other tools write it, with what a careless merge
// would lose.
const foreign = `apiVersion: v1
kind: Config
preferences: {}
clusters:
- name: prod
  cluster:
    server: https://prod.example.com
    certificate-authority: ca/prod.crt
    extensions:
    - name: minikube.sigs.k8s.io
      extension: {provider: none}
users:
- name: me
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: aws
      args: [eks, get-token]
      interactiveMode: Never
contexts:
- name: prod
  context: {cluster: prod, user: me, namespace: web}
current-context: prod
`

func made(t *testing.T, name string) instance.Config {
	t.Helper()
	c := instance.Config{Name: name, DataDir: t.TempDir(), Port: 7443}
	if err := pki.Ensure(c, "https://10.244.0.1:6443", time.Now()); err != nil {
		t.Fatal(err)
	}
	return c
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, path string) *clientcmdapi.Config {
	t.Helper()
	cfg, err := clientcmd.LoadFromFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// normal is a kubeconfig in the form in which clientcmd writes it.
func normal(t *testing.T, cfg *clientcmdapi.Config) string {
	t.Helper()
	raw, err := clientcmd.Write(*cfg)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func contexts(cfg *clientcmdapi.Config) string {
	return strings.Join(slices.Sorted(maps.Keys(cfg.Contexts)), " ")
}

// TestMergeAndRemove: after both, the file is what it was, but for the current
// context.
func TestMergeAndRemove(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubeconfig")
	write(t, path, foreign)
	before := load(t, path)
	a, b := made(t, "tatami"), made(t, "b")
	for _, c := range []instance.Config{a, b, a} {
		if err := mergeKubeconfig(c, path); err != nil {
			t.Fatal(err)
		}
		if got := load(t, path).CurrentContext; got != instance.Context(c.Name) {
			t.Errorf("current context %q, want that of %s", got, c.Name)
		}
		if got := mergedInto(c); got != path {
			t.Errorf("merged into %q", got)
		}
	}
	cfg := load(t, path)
	if contexts(cfg) != "prod tatami tatami-b" {
		t.Errorf("contexts %s", contexts(cfg))
	}
	if got := cfg.Clusters["tatami"].Server; got != "https://127.0.0.1:7443" {
		t.Errorf("server %s", got)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v (%v)", st.Mode(), err)
	}
	for _, c := range []instance.Config{b, a} {
		if err := removeFromKubeconfig(c, ""); err != nil {
			t.Fatal(err)
		}
	}
	before.CurrentContext = ""
	if got := normal(t, load(t, path)); got != normal(t, before) {
		t.Errorf("left behind:\n%s\nwant:\n%s", got, normal(t, before))
	}
	if err := removeFromKubeconfig(a, ""); err != nil {
		t.Errorf("removed again: %v", err)
	}
}

func TestMergeKeepsWhatTheUserSet(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "kubeconfig")
	c := made(t, "b")
	if err := mergeKubeconfig(c, path); err != nil {
		t.Fatal(err)
	}
	cfg := load(t, path)
	cfg.Contexts["tatami-b"].Namespace = "shop"
	write(t, path, normal(t, cfg))
	c.Port = 8443
	if err := mergeKubeconfig(c, path); err != nil {
		t.Fatal(err)
	}
	cfg = load(t, path)
	if got := cfg.Contexts["tatami-b"].Namespace; got != "shop" {
		t.Errorf("namespace %q", got)
	}
	if got := cfg.Clusters["tatami-b"].Server; got != "https://127.0.0.1:8443" {
		t.Errorf("server %q", got)
	}
	// The user works elsewhere: that must go on after `down`.
	cfg.Contexts["other"] = clientcmdapi.NewContext()
	cfg.CurrentContext = "other"
	write(t, path, normal(t, cfg))
	if err := removeFromKubeconfig(c, ""); err != nil {
		t.Fatal(err)
	}
	if got := load(t, path); got.CurrentContext != "other" || contexts(got) != "other" {
		t.Errorf("current %q of %s", got.CurrentContext, contexts(got))
	}
}

func TestMergeThroughALink(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
	write(t, path, foreign)
	if err := os.Symlink("real", link); err != nil {
		t.Fatal(err)
	}
	c := made(t, "b")
	if err := mergeKubeconfig(c, link); err != nil {
		t.Fatal(err)
	}
	if to, err := os.Readlink(link); err != nil || to != "real" {
		t.Errorf("the link is gone: %q (%v)", to, err)
	}
	if got := contexts(load(t, path)); got != "prod tatami-b" {
		t.Errorf("contexts %s", got)
	}
	if err := removeFromKubeconfig(c, ""); err != nil {
		t.Fatal(err)
	}
	if got := contexts(load(t, path)); got != "prod" {
		t.Errorf("contexts %s", got)
	}
	if _, err := os.Readlink(link); err != nil {
		t.Errorf("the link is gone: %v", err)
	}
}

func TestBrokenKubeconfigIsLeftAlone(t *testing.T) {
	for _, content := range []string{"clusters: [", "apiVersion: v9\nkind: Config\n", "hello"} {
		path := filepath.Join(t.TempDir(), "kubeconfig")
		write(t, path, content)
		c := made(t, "b")
		err := mergeKubeconfig(c, path)
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(control.NextStep(err), "not changed") {
			t.Errorf("%q: error %v, advice %q", content, err, control.NextStep(err))
		}
		if err := removeFromKubeconfig(c, path); err == nil {
			t.Errorf("%q: removed without an error", content)
		}
		if raw, err := os.ReadFile(path); err != nil || string(raw) != content {
			t.Errorf("%q became %q (%v)", content, raw, err)
		}
	}
}

func TestMergeIntoAnEmptyFile(t *testing.T) {
	for _, content := range []string{"", "apiVersion: v1\nkind: Config\nclusters: null\ncontexts: null\nusers: null\n"} {
		path := filepath.Join(t.TempDir(), "kubeconfig")
		write(t, path, content)
		if err := mergeKubeconfig(made(t, "b"), path); err != nil {
			t.Errorf("%q: %v", content, err)
			continue
		}
		if got := contexts(load(t, path)); got != "tatami-b" {
			t.Errorf("%q: contexts %s", content, got)
		}
	}
}

// TestMergeByKubectlsRule: without --kubeconfig the file is the one that
// kubectl would use.
func TestMergeByKubectlsRule(t *testing.T) {
	path := filepath.Join(t.TempDir(), "from-env")
	t.Setenv("KUBECONFIG", path)
	c := made(t, "b")
	if got := mergedInto(c); got != c.AdminKubeconfig() {
		t.Errorf("before the merge: %q", got)
	}
	if err := mergeKubeconfig(c, ""); err != nil {
		t.Fatal(err)
	}
	if got := contexts(load(t, path)); got != "tatami-b" {
		t.Errorf("contexts %s", got)
	}
	// `down` may run with another environment.
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "another"))
	if err := removeFromKubeconfig(c, ""); err != nil {
		t.Fatal(err)
	}
	if got := contexts(load(t, path)); got != "" {
		t.Errorf("contexts left: %s", got)
	}
}
