package deploy

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/tatami-platform/tatami/internal/control"
)

// names renders objects as KIND/NAME.
func names(objects []Object) []string {
	var all []string
	for _, o := range objects {
		all = append(all, o.GetKind()+"/"+o.GetName())
	}
	return all
}

func configMap(name string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " + name + "\n"
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name string
		text string
		want []string
		err  string
	}{
		{name: "nothing"},
		{name: "only comments", text: "# a\n---\n# b\n---\n"},
		{name: "one", text: configMap("a"), want: []string{"ConfigMap/a"}},
		{name: "two", text: configMap("a") + "---\n" + configMap("b"), want: []string{"ConfigMap/a", "ConfigMap/b"}},
		{name: "empty documents between", text: "---\n" + configMap("a") + "---\n---\n# x\n---\n" + configMap("b"), want: []string{"ConfigMap/a", "ConfigMap/b"}},
		{name: "lines of Windows", text: strings.ReplaceAll(configMap("a")+"---\n"+configMap("b"), "\n", "\r\n"), want: []string{"ConfigMap/a", "ConfigMap/b"}},
		{name: "JSON", text: `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"}}`, want: []string{"Secret/s"}},
		{name: "a list", text: "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: a}}\n- {apiVersion: v1, kind: Pod, metadata: {name: b}}\n", want: []string{"Pod/a", "Pod/b"}},
		{name: "an empty list", text: "apiVersion: v1\nkind: List\nitems: []\n"},
		{name: "a list in a list", text: "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Pod, metadata: {name: a}}]}\n", want: []string{"Pod/a"}},
		{name: "a generated name", text: "apiVersion: v1\nkind: Pod\nmetadata: {generateName: a-}\n", err: "metadata.name missing"},
		{name: "no kind", text: "apiVersion: v1\nmetadata: {name: a}\n", err: "x, document 1: not a Kubernetes object: kind missing"},
		{name: "second has nothing", text: configMap("a") + "---\nfoo: bar\n", err: "x, document 2: not a Kubernetes object: apiVersion, kind, metadata.name missing"},
		{name: "nameless in a list", text: "apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Pod}]\n", err: "metadata.name missing"},
		{name: "a word in a list", text: "apiVersion: v1\nkind: List\nitems: [pod]\n", err: "document 1"},
		{name: "a bare list", text: "- a\n- b\n", err: "document 1"},
		{name: "a word", text: "hello\n", err: "document 1"},
		{name: "tabs", text: "kind:\n\t- x", err: "document 1"},
		{name: "template left unfilled", text: "kind: {{ .Kind }}\n", err: "document 1"},
		{name: "half a JSON", text: `{"kind":"Pod",`, err: "document 1"},
		{name: "numbers for names", text: "apiVersion: v1\nkind: Pod\nmetadata: {name: 5}\n", err: "metadata.name missing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse("x", []byte(tt.text))
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || !strings.Contains(err.Error(), "x, document") {
					t.Fatalf("error %v, want one with %q and the place", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(names(got), tt.want) {
				t.Errorf("got %v, want %v", names(got), tt.want)
			}
		})
	}
}

// TestParseKeepsNumbers: what arrives at the API server is what was written.
func TestParseKeepsNumbers(t *testing.T) {
	for _, form := range []string{
		`{"apiVersion":"example.com/v1","kind":"X","metadata":{"name":"num"},"spec":{"big":9007199254740993,"one":1,"half":0.5}}`,
		"apiVersion: example.com/v1\nkind: X\nmetadata: {name: num}\nspec: {big: 9007199254740993, one: 1, half: 0.5}\n",
	} {
		got, err := Parse("x", []byte(form))
		if err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(got[0].Object["spec"])
		if err != nil {
			t.Fatal(err)
		}
		if want := `{"big":9007199254740993,"half":0.5,"one":1}`; string(raw) != want {
			t.Errorf("%s became %s, want %s", form, raw, want)
		}
	}
}

// FuzzParse: nothing makes it panic, and whatever it returns can be applied:
// each object has a kind, a version and a name.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "---", configMap("a") + "---\n" + configMap("b"), `{"apiVersion":"v1","kind":"List","items":[{}]}`,
		"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Pod, metadata: {name: a}}]}\n",
		"apiVersion: v1\nkind: Pod\nmetadata: x\n", "a: &a [*a]\n", "metadata: null\nkind: 5\n", "{}{}", "[[[[", "apiVersion: v1\nkind: X\nitems: 3\nmetadata: {name: a}\n",
		`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}} {"apiVersion":"v1","kind":"Pod","metadata":{"name":"b"}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		objects, err := Parse("x", raw)
		if err != nil {
			if len(objects) > 0 {
				t.Error("objects beside an error")
			}
			return
		}
		for _, o := range objects {
			if o.GetKind() == "" || o.GetAPIVersion() == "" || o.GetName() == "" || o.Source == "" {
				t.Errorf("%q gave %v", raw, o.Object)
			}
			_ = o.DeepCopy() // panics for what is no JSON
		}
	})
}

// tree writes files below a new folder.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const kustomization = "resources: [a.yaml]\nnamePrefix: my-\nconfigMapGenerator:\n- name: made\n  literals: [k=v]\n  options: {disableNameSuffixHash: true}\n"

func TestRead(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string]string
		paths []string
		want  []string
		err   string
	}{
		{name: "no paths"},
		{name: "a file", files: map[string]string{"a.yaml": configMap("a")}, paths: []string{"a.yaml"}, want: []string{"ConfigMap/a"}},
		{name: "a file without an end", files: map[string]string{"a": configMap("a")}, paths: []string{"a"}, want: []string{"ConfigMap/a"}},
		{
			name:  "a folder, in the order of names",
			files: map[string]string{"b.yml": configMap("b"), "a.yaml": configMap("a"), "c/d.json": `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"d"}}`, "README.md": "# no manifest"},
			paths: []string{"."}, want: []string{"ConfigMap/a", "ConfigMap/b", "Pod/d"},
		},
		{name: "a kustomization", files: map[string]string{"kustomization.yaml": kustomization, "a.yaml": configMap("a"), "other.yaml": "x"}, paths: []string{"."}, want: []string{"ConfigMap/my-a", "ConfigMap/my-made"}},
		{name: "a kustomization by its third name", files: map[string]string{"Kustomization": kustomization, "a.yaml": configMap("a")}, paths: []string{"."}, want: []string{"ConfigMap/my-a", "ConfigMap/my-made"}},
		{name: "several paths", files: map[string]string{"a.yaml": configMap("a"), "b.yaml": configMap("b")}, paths: []string{"b.yaml", "a.yaml"}, want: []string{"ConfigMap/b", "ConfigMap/a"}},
		{name: "missing", paths: []string{"none.yaml"}, err: "none.yaml"},
		{name: "an empty folder", files: map[string]string{"x/README.md": ""}, paths: []string{"x"}, err: "no manifest"},
		{name: "a bad file among good ones", files: map[string]string{"a.yaml": configMap("a"), "b.yaml": "kind: X"}, paths: []string{"."}, err: "b.yaml, document 1"},
		{name: "a kustomization that lacks a file", files: map[string]string{"kustomization.yaml": kustomization}, paths: []string{"."}, err: "kustomize"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := tree(t, tt.files)
			for i, p := range tt.paths {
				tt.paths[i] = filepath.Join(dir, p)
			}
			got, err := Read(tt.paths)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error %v, want one with %q", err, tt.err)
				}
				if next := control.NextStep(err); !strings.Contains(next, "nothing was changed") {
					t.Errorf("advice %q", next)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(names(got), tt.want) {
				t.Errorf("got %v, want %v", names(got), tt.want)
			}
		})
	}
}

func TestBuildFS(t *testing.T) {
	embedded := fstest.MapFS{
		"kustomization.yaml": {Data: []byte("resources: [base]\nnamespace: shop\n")},
		"base/a.yaml":        {Data: []byte(configMap("a"))},
		"base/kustomization.yaml": {
			Data: []byte("resources: [a.yaml]\n"),
		},
	}
	got, err := BuildFS(embedded, "the shop")
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].GetName() != "a" || got[0].GetNamespace() != "shop" {
		t.Errorf("got %v", names(got))
	}
	if _, err := BuildFS(fstest.MapFS{"a.yaml": {Data: []byte(configMap("a"))}}, "the shop"); err == nil || !strings.Contains(err.Error(), "kustomize") {
		t.Errorf("no kustomization: %v", err)
	}
	if _, err := BuildFS(os.DirFS(filepath.Join(t.TempDir(), "none")), "the shop"); err == nil || !strings.Contains(err.Error(), "the shop") {
		t.Errorf("unreadable: %v", err)
	}
}

func TestParseLarge(t *testing.T) {
	// Longer than the buffer of the decoder, and than a line of a scanner.
	var b strings.Builder
	const n = 300
	for i := range n {
		fmt.Fprintf(&b, "%sdata:\n  k: %s\n---\n", configMap(fmt.Sprint("c", i)), strings.Repeat("x", 5000))
	}
	got, err := Parse("x", []byte(b.String()))
	if err != nil || len(got) != n {
		t.Errorf("%d objects (%v), want %d", len(got), err, n)
	}
}
