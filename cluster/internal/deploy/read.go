package deploy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/tatami-platform/tatami/internal/control"
)

// Object is one parsed manifest and where it came from.
type Object struct {
	*unstructured.Unstructured
	Source string
}

// Read parses files, folders and kustomizations.
func Read(paths []string) ([]Object, error) {
	var all []Object
	for _, path := range paths {
		objects, err := readPath(path)
		if err != nil {
			return nil, &control.Problem{
				What: "the manifests in " + path + " can't be used",
				Why:  err,
				Next: "mend them and run the command again; nothing was changed",
			}
		}
		all = append(all, objects...)
	}
	return all, nil
}

func readPath(path string) ([]Object, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.IsDir() {
		return readFile(path)
	}
	if isKustomization(path) {
		return build(filesys.MakeFsOnDisk(), path)
	}
	var all []Object
	err = filepath.WalkDir(path, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(file)) {
			return err
		}
		objects, err := readFile(file)
		all = append(all, objects...)
		return err
	})
	if err == nil && len(all) == 0 {
		err = errors.New("no manifest (*.yaml, *.yml, *.json) is in it")
	}
	return all, err
}

func isKustomization(dir string) bool {
	for _, name := range []string{"kustomization.yaml", "kustomization.yml", "Kustomization"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

// build runs kustomize, as `kubectl apply -k` does.
func build(fsys filesys.FileSystem, dir string) ([]Object, error) {
	res, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(fsys, dir)
	if err != nil {
		return nil, fmt.Errorf("kustomize: %w", err)
	}
	raw, err := res.AsYaml()
	if err != nil {
		return nil, fmt.Errorf("kustomize: %w", err)
	}
	return Parse(dir, raw)
}

// BuildFS runs kustomize over embedded manifests.
func BuildFS(embedded fs.FS, source string) ([]Object, error) {
	mem := filesys.MakeFsInMemory()
	err := fs.WalkDir(embedded, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := fs.ReadFile(embedded, path)
		if err != nil {
			return err
		}
		return mem.WriteFile("/"+path, raw)
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	return build(mem, "/")
}

func readFile(path string) ([]Object, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, raw)
}

// Parse splits a stream of YAML or JSON documents into objects.
func Parse(source string, raw []byte) ([]Object, error) {
	var all []Object
	dec := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(raw), 4096)
	for n := 1; ; n++ {
		var document runtime.RawExtension
		err := dec.Decode(&document)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		where := fmt.Sprintf("%s, document %d", source, n)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
		if len(document.Raw) == 0 {
			continue
		}
		var content map[string]any
		// Not encoding/json: it would round large numbers.
		if err := json.Unmarshal(document.Raw, &content); err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
		if len(content) == 0 {
			continue
		}
		objects, err := flatten(&unstructured.Unstructured{Object: content}, where)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
		all = append(all, objects...)
	}
}

// flatten gives the objects of a list, or the one that is none.
func flatten(u *unstructured.Unstructured, where string) ([]Object, error) {
	if err := check(u); err != nil {
		return nil, err
	}
	if !u.IsList() {
		return []Object{{u, where}}, nil
	}
	var all []Object
	err := u.EachListItem(func(o runtime.Object) error {
		item, ok := o.(*unstructured.Unstructured)
		if !ok {
			return errors.New("a list in it holds something else than objects")
		}
		objects, err := flatten(item, where)
		all = append(all, objects...)
		return err
	})
	return all, err
}

func check(u *unstructured.Unstructured) error {
	var missing []string
	if u.GetAPIVersion() == "" {
		missing = append(missing, "apiVersion")
	}
	if u.GetKind() == "" {
		missing = append(missing, "kind")
	}
	if !u.IsList() && u.GetName() == "" {
		missing = append(missing, "metadata.name")
	}
	if len(missing) > 0 {
		return fmt.Errorf("not a Kubernetes object: %s missing", strings.Join(missing, ", "))
	}
	return nil
}
