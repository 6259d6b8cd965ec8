package launch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/tatami-platform/tatami/cluster/internal/instance"
	"github.com/tatami-platform/tatami/cluster/internal/pki"
	"github.com/tatami-platform/tatami/internal/control"
)

// mergedFile remembers which file the context was merged into: `down` may run
// with another environment.
const mergedFile = "merged-into"

// mergedInto is the user's kubeconfig, or before the merge the cluster's own.
func mergedInto(c instance.Config) string {
	if raw, err := os.ReadFile(c.Path(mergedFile)); err == nil {
		return strings.TrimSpace(string(raw))
	}
	return c.AdminKubeconfig()
}

// kubeconfigFile is the file that was asked for, else the one that kubectl writes.
func kubeconfigFile(explicit string) string {
	if explicit != "" {
		return explicit
	}
	return clientcmd.NewDefaultPathOptions().GetDefaultFilename()
}

// mergeKubeconfig adds the context to the user's kubeconfig and makes it the
// current one, as kind does. Other contexts are not touched.
func mergeKubeconfig(c instance.Config, explicit string) error {
	own, err := pki.EmbeddedKubeconfig(c, pki.Admin, fmt.Sprintf("https://127.0.0.1:%d", c.Port))
	if err != nil {
		return err
	}
	path := kubeconfigFile(explicit)
	cfg, err := loadKubeconfig(path)
	if err != nil {
		return err
	}
	name := instance.Context(c.Name)
	before := cfg.DeepCopy()
	cfg.Clusters[name], cfg.AuthInfos[name], cfg.Contexts[name] = own.Clusters[name], own.AuthInfos[name], own.Contexts[name]
	if old, ok := before.Contexts[name]; ok && old.Namespace != "" {
		cfg.Contexts[name].Namespace = old.Namespace // set by the user
	}
	cfg.CurrentContext = name
	if err := saveKubeconfig(path, before, cfg); err != nil {
		return err
	}
	return instance.WriteFile(c.Path(mergedFile), []byte(path))
}

func removeFromKubeconfig(c instance.Config, explicit string) error {
	paths := map[string]bool{}
	if raw, err := os.ReadFile(c.Path(mergedFile)); err == nil {
		paths[strings.TrimSpace(string(raw))] = true
	}
	if explicit != "" {
		paths[explicit] = true
	}
	for path := range paths {
		if !exists(path) {
			continue
		}
		if err := removeContext(path, instance.Context(c.Name)); err != nil {
			return err
		}
	}
	if err := os.Remove(c.Path(mergedFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func removeContext(path, name string) error {
	cfg, err := loadKubeconfig(path)
	if err != nil {
		return err
	}
	before := cfg.DeepCopy()
	delete(cfg.Clusters, name)
	delete(cfg.AuthInfos, name)
	delete(cfg.Contexts, name)
	if cfg.CurrentContext == name {
		cfg.CurrentContext = ""
	}
	return saveKubeconfig(path, before, cfg)
}

func loadKubeconfig(path string) (*clientcmdapi.Config, error) {
	cfg, err := clientcmd.LoadFromFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return clientcmdapi.NewConfig(), nil
	}
	if err != nil {
		return nil, &control.Problem{
			What: "the kubeconfig " + path + " can't be read",
			Why:  err,
			Next: "mend it, or use another one with --kubeconfig; it was not changed",
		}
	}
	return cfg, nil
}

// saveKubeconfig replaces the file as a whole; it may be a link, and what it
// points at is replaced then.
func saveKubeconfig(path string, before, after *clientcmdapi.Config) error {
	old, err := clientcmd.Write(*before)
	if err != nil {
		return err
	}
	raw, err := clientcmd.Write(*after)
	if err != nil {
		return fmt.Errorf("kubeconfig: %w", err)
	}
	if string(old) == string(raw) && exists(path) {
		return nil
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	return instance.WriteFile(path, raw)
}
