package manifest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"github.com/tatami-platform/tatami/internal/control"
)

var errRemote = errors.New("it is not in this folder")

func kustomizationFiles() []string {
	return []string{"kustomization.yaml", "kustomization.yml", "Kustomization"}
}

// kustomization builds a folder. Plugins are off by default; what would be
// fetched from elsewhere is refused beforehand, because kustomize has no switch
// against it.
func (s *Set) kustomization(dir string) error {
	if err := local(dir, map[string]bool{}); err != nil {
		return &control.Problem{
			What: "cannot build the kustomization " + dir,
			Why:  err,
			Next: "nothing is downloaded here: run `kustomize localize`, or name the output of `kustomize build` instead",
		}
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return &control.Problem{
			What: "cannot build the kustomization " + dir,
			Why:  err,
			Next: "see what `kubectl kustomize " + dir + "` says",
		}
	}
	text, err := built.AsYaml()
	if err != nil {
		return fmt.Errorf("kustomization %s: %w", dir, err)
	}
	return s.text(filepath.ToSlash(dir), text)
}

// references are the fields of a kustomization by which it loads other files.
type references struct {
	Resources, Bases, Components           []string
	Transformers, Generators, Validators   []string
	CRDs, Configurations                   []string
	PatchesStrategicMerge                  []string
	Patches, PatchesJSON6902, Replacements []struct{ Path string }
	ConfigMapGenerator, SecretGenerator    []struct {
		Files, Envs []string
		Env         string
	}
	OpenAPI struct{ Path string }
}

// local says what a kustomization, or one that it is made of, would have to
// fetch.
func local(dir string, seen map[string]bool) error {
	if dir = filepath.Clean(dir); seen[dir] {
		return nil
	}
	seen[dir] = true
	var refs references
	for _, name := range kustomizationFiles() {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		if err := yaml.Unmarshal(data, &refs); err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(dir, name), err)
		}
	}
	for _, url := range refs.files() {
		if strings.Contains(url, "://") {
			return fmt.Errorf("%s refers to %s: %w", dir, url, errRemote)
		}
	}
	for _, ref := range refs.folders() {
		if inline(ref) {
			continue
		}
		info, err := os.Stat(filepath.Join(dir, ref))
		if err != nil {
			return fmt.Errorf("%s refers to %s: %w", dir, ref, errRemote)
		}
		if info.IsDir() {
			if err := local(filepath.Join(dir, ref), seen); err != nil {
				return err
			}
		}
	}
	return nil
}

// inline says that a transformer or patch is written in place of its name.
func inline(ref string) bool { return strings.Contains(ref, "\n") }

// folders are references that kustomize clones or downloads when it does not
// find them.
func (r *references) folders() []string {
	var all []string
	for _, list := range [][]string{r.Resources, r.Bases, r.Components, r.Transformers, r.Generators, r.Validators} {
		all = append(all, list...)
	}
	return all
}

// files are references that it downloads when they are URLs.
func (r *references) files() []string {
	all := append(append([]string{r.OpenAPI.Path}, r.CRDs...), r.Configurations...)
	for _, p := range r.PatchesStrategicMerge {
		if !inline(p) {
			all = append(all, p)
		}
	}
	for _, list := range [][]struct{ Path string }{r.Patches, r.PatchesJSON6902, r.Replacements} {
		for _, p := range list {
			all = append(all, p.Path)
		}
	}
	for _, g := range append(r.ConfigMapGenerator, r.SecretGenerator...) {
		for _, f := range append(append([]string{g.Env}, g.Files...), g.Envs...) {
			_, path, named := strings.Cut(f, "=")
			if !named {
				path = f
			}
			all = append(all, path)
		}
	}
	return all
}
