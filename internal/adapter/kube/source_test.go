package kube

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tatami-platform/tatami/internal/control"
)

func pod(name string) string {
	return "apiVersion: v1\nkind: Pod\nmetadata: {name: " + name + ", labels: {name: " + name + "}}\nspec: {containers: [{name: a, resources: {requests: {cpu: " + name[1:] + "m, memory: 1}}}]}\n"
}

func TestFolders(t *testing.T) {
	dir := write(t, map[string]string{
		"a.yaml":         pod("p1") + "---\n" + pod("p2"),
		"b/c.yml":        "# only a comment\n---\n---\n" + pod("p3"),
		"b/d.json":       `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p4"},"spec":{"containers":[]}}`,
		"b/e.txt":        "not: [read",
		".hidden.yaml":   "not: [read",
		".git/x.yaml":    "not: [read",
		"b/values.yaml":  "replicas: 3",
		"crlf.yaml":      strings.ReplaceAll(pod("p5")+"--- # next\n"+pod("p6"), "\n", "\r\n"),
		"scripts/x.sh":   "exit",
		"empty/none.yml": "",
	})
	if err := os.Symlink(dir, filepath.Join(dir, "b", "loop")); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"Pod/default/p1": 1, "Pod/default/p2": 1, "Pod/default/p3": 1, "Pod/default/p4": 1, "Pod/default/p5": 1, "Pod/default/p6": 1}
	d, err := read(t, control.Sources{Paths: []string{dir}})
	if err != nil || !maps.Equal(counts(d), want) {
		t.Fatalf("%v, %v", counts(d), err)
	}
	if !covered(d, "values.yaml, document 1, line 1") {
		t.Errorf("%+v", d.NotCovered)
	}
	again, err := read(t, control.Sources{Paths: []string{dir}})
	if err != nil || again.Digest != d.Digest || len(d.Digest) != 64 || d.Name != filepath.ToSlash(dir) {
		t.Errorf("digest %s, then %s; name %s; %v", d.Digest, again.Digest, d.Name, err)
	}
	less, err := read(t, control.Sources{Paths: []string{dir + "/a.yaml", dir + "/crlf.yaml"}})
	if err != nil || less.Digest == d.Digest || len(less.Snapshot.Demand) != 4 || less.Name != "2 sources" {
		t.Errorf("%v, %v, %v", less.Name, counts(less), err)
	}
}

func TestNarrowed(t *testing.T) {
	docs := join(object("apps/v1", "Deployment", "web", tpl), "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: other, labels: {app: web}}, spec: {containers: []}}",
		"{apiVersion: v1, kind: Pod, metadata: {name: q, labels: {app: db}}, spec: {containers: []}}")
	for _, tc := range []struct {
		name, namespace, selector string
		want                      map[string]int
	}{
		{"all", "", "", map[string]int{"Deployment/shop/web": 1, "Pod/other/p": 1, "Pod/default/q": 1}},
		{"one namespace, in which objects without one are", "shop", "", map[string]int{"Deployment/shop/web": 1, "Pod/shop/q": 1}},
		{"by label", "", "app=web", map[string]int{"Deployment/shop/web": 1, "Pod/other/p": 1}},
		{"by both", "other", "app in (web, x)", map[string]int{"Pod/other/p": 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, err := read(t, control.Sources{Paths: []string{"-"}, Stdin: strings.NewReader(docs), Namespace: tc.namespace, Selector: tc.selector})
			if err != nil || !maps.Equal(counts(d), tc.want) {
				t.Errorf("%v, %v", counts(d), err)
			}
		})
	}
}

func TestBadInput(t *testing.T) {
	dir := write(t, map[string]string{
		"broken.yaml":                            pod("p1") + "---\n" + pod("p2") + "---\nkind: Pod\n  bad: [\n",
		"type.yaml":                              strings.Replace(pod("p1"), "cpu: 1m", "cpu: lots", 1),
		"name.yaml":                              "{apiVersion: v1, kind: Node, metadata: {name: n}}",
		"pool.yaml":                              "{apiVersion: karpenter.sh/v1, kind: NodePool, metadata: {name: p}}",
		"kustomize/remote/kustomization.yaml":    "resources: ['github.com/org/repo/base?ref=v1']",
		"kustomize/url/kustomization.yaml":       "resources: [https://example.com/all.yaml]",
		"kustomize/file/kustomization.yaml":      "configMapGenerator: [{name: a, files: ['x=https://example.com/x']}]",
		"kustomize/deep/kustomization.yaml":      "resources: [base]",
		"kustomize/deep/base/kustomization.yaml": "components: ['git@github.com:org/repo']",
		"kustomize/broken/kustomization.yaml":    "resources: {",
		"chart/lib/Chart.yaml":                   "{apiVersion: v2, name: lib, version: 0.1.0, type: library}",
		"chart/dep/Chart.yaml":                   "{apiVersion: v2, name: dep, version: 0.1.0, dependencies: [{name: other, version: 1.x, repository: 'https://example.com'}]}",
		"chart/bad/Chart.yaml":                   "{apiVersion: v2, name: bad, version: 0.1.0}",
		"chart/bad/templates/x.yaml":             "{{ required \"say who\" .Values.who }}",
	})
	for _, tc := range []struct {
		name string
		from control.Sources
		what string
	}{
		{"nothing is named", control.Sources{}, "there is nothing to plan"},
		{"both", control.Sources{Live: true, Paths: []string{"x"}}, "at once"},
		{"no such file", control.Sources{Paths: []string{dir + "/nope"}}, "no such file"},
		{"no standard input", control.Sources{Paths: []string{"-"}}, "standard input"},
		{"a document that does not parse", control.Sources{Paths: []string{dir + "/broken.yaml"}}, "broken.yaml, document 3, line "},
		{"the line in the file", control.Sources{Paths: []string{dir + "/broken.yaml"}}, "line 12"},
		{"a quantity that is none", control.Sources{Paths: []string{dir + "/type.yaml"}}, "type.yaml, document 1, line 1"},
		{"a name that YAML takes for something else", control.Sources{Paths: []string{dir + "/name.yaml"}}, "cannot read the Node in"},
		{"no pods", control.Sources{Paths: []string{dir + "/pool.yaml"}}, "nothing to plan in"},
		{"a selector that is none", control.Sources{Paths: []string{dir + "/pool.yaml"}, Selector: "a=b=c"}, "selector a=b=c"},
		{"a remote base", control.Sources{Paths: []string{dir + "/kustomize/remote"}}, "github.com/org/repo/base?ref=v1: it is not in this folder"},
		{"a remote file", control.Sources{Paths: []string{dir + "/kustomize/url"}}, "it is not in this folder"},
		{"a remote part of a generator", control.Sources{Paths: []string{dir + "/kustomize/file"}}, "https://example.com/x"},
		{"a remote component of a base", control.Sources{Paths: []string{dir + "/kustomize/deep"}}, "git@github.com"},
		{"a broken kustomization", control.Sources{Paths: []string{dir + "/kustomize/broken"}}, "cannot build the kustomization"},
		{"a library chart", control.Sources{Paths: []string{dir + "/chart/lib"}}, "library chart"},
		{"a chart without what it needs", control.Sources{Paths: []string{dir + "/chart/dep"}}, "other: a chart that it needs"},
		{"a value that is required", control.Sources{Paths: []string{dir + "/chart/bad"}}, "say who"},
		{"a setting that is none", control.Sources{Paths: []string{dir + "/chart/bad"}, Values: []string{"who"}}, "--set who"},
		{"a file of values that is missing", control.Sources{Paths: []string{dir + "/chart/bad"}, ValueFiles: []string{dir + "/nope.yaml"}}, "nope.yaml"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := read(t, tc.from)
			if err == nil || !strings.Contains(err.Error(), tc.what) {
				t.Fatalf("error %v, want %q in it", err, tc.what)
			}
			if control.NextStep(err) == "" {
				t.Errorf("no next step after %v", err)
			}
		})
	}
}

// The repository's own example: a kustomization with seven roles.
func TestShop(t *testing.T) {
	d, err := read(t, control.Sources{Paths: []string{"../../../examples/shop/deploy"}})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{}
	for _, role := range []string{"web", "catalog", "cart", "checkout", "worker", "load"} {
		want["Deployment/shop/"+role] = 1
	}
	want["StatefulSet/shop/queue"], want["Deployment/shop/web"] = 1, 2
	if got := counts(d); !maps.Equal(got, want) {
		t.Errorf("%v", got)
	}
	if len(d.Snapshot.PodBudgets) == 0 || d.Workloads != 7 {
		t.Errorf("%d budgets, %d workloads", len(d.Snapshot.PodBudgets), d.Workloads)
	}
	for _, g := range d.Snapshot.Demand {
		if g.Requests.CPU <= 0 || g.Requests.Memory <= 0 || g.Requests.Pods != 1 {
			t.Errorf("%s requests %+v", g.Owner, g.Requests)
		}
	}
}

func TestKustomization(t *testing.T) {
	dir := write(t, map[string]string{
		"base/kustomization.yaml": "resources: [web.yaml]\n",
		"base/web.yaml":           object("apps/v1", "Deployment", "web", "replicas: 2, selector: {matchLabels: {app: web}}, "+tpl),
		"prod/kustomization.yml":  "resources: [../base]\nnamespace: prod\nnamePrefix: my-\nreplicas: [{name: web, count: 9}]\npatches: [{target: {kind: Deployment}, patch: '[{\"op\": \"add\", \"path\": \"/spec/template/spec/nodeSelector\", \"value\": {\"disk\": \"ssd\"}}]'}]\n",
	})
	d, err := read(t, control.Sources{Paths: []string{dir + "/prod"}})
	if err != nil || !maps.Equal(counts(d), map[string]int{"Deployment/prod/my-web": 9}) {
		t.Fatalf("%v, %v", counts(d), err)
	}
	if !d.Snapshot.Demand[0].Alternatives[0]["disk"].Has("ssd") {
		t.Error("the patch is missing")
	}
	all, err := read(t, control.Sources{Paths: []string{dir}})
	if err != nil || len(all.Snapshot.Demand) != 2 {
		t.Errorf("every kustomization of a folder is built: %v, %v", counts(all), err)
	}
}

func webChart() map[string]string {
	return map[string]string{
		"web/Chart.yaml":                    "{apiVersion: v2, name: web, version: 1.2.3, dependencies: [{name: cache, version: 0.1.0, condition: cache.enabled}]}",
		"web/values.yaml":                   "{replicas: 2, cpu: 100m, cache: {enabled: true}}",
		"web/templates/_helpers.tpl":        `{{ define "web.name" }}{{ .Release.Name }}-{{ .Chart.Name }}{{ end }}`,
		"web/templates/NOTES.txt":           "Thank you: {{ .Values.replicas }}",
		"web/templates/web.yaml":            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: {{ include \"web.name\" . }}, namespace: {{ .Release.Namespace }}}\nspec:\n  replicas: {{ .Values.replicas }}\n  template: {spec: {containers: [{name: a, resources: {requests: {cpu: {{ .Values.cpu }}, memory: 1Mi}}}]}}\n{{- if .Values.secret }}\n---\n{{ (lookup \"v1\" \"Secret\" \"a\" \"b\").data }}{{ end }}",
		"web/templates/tests/check.yaml":    "{apiVersion: v1, kind: Pod, metadata: {name: check, annotations: {helm.sh/hook: test}}, spec: {containers: []}}",
		"web/crds/crd.yaml":                 "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: x}}",
		"web/charts/cache/Chart.yaml":       "{apiVersion: v2, name: cache, version: 0.1.0}",
		"web/charts/cache/templates/c.yaml": "{apiVersion: v1, kind: Pod, metadata: {name: cache}, spec: {containers: [{name: a, resources: {requests: {cpu: 1, memory: 1}}}]}}",
		"values-prod.yaml":                  "{replicas: 5, cpu: 200m}",
	}
}

func TestChart(t *testing.T) {
	dir := write(t, webChart())
	archive := pack(t, dir, "web")
	for _, tc := range []struct {
		name string
		from control.Sources
		want map[string]int
		cpu  int
	}{
		{"a folder", control.Sources{Paths: []string{dir + "/web"}}, map[string]int{"Deployment/default/web-web": 2, "Pod/default/cache": 1}, 100},
		{"an archive", control.Sources{Paths: []string{archive}}, map[string]int{"Deployment/default/web-web": 2, "Pod/default/cache": 1}, 100},
		{"among other files", control.Sources{Paths: []string{dir}}, map[string]int{"Deployment/default/web-web": 2, "Pod/default/cache": 1}, 100},
		{"values", control.Sources{Paths: []string{dir + "/web"}, ValueFiles: []string{dir + "/values-prod.yaml"}, Values: []string{"replicas=7,cache.enabled=false"}}, map[string]int{"Deployment/default/web-web": 7}, 200},
		{"a namespace", control.Sources{Paths: []string{dir + "/web"}, Namespace: "prod", Values: []string{"cache.enabled=false"}}, map[string]int{"Deployment/prod/web-web": 2}, 100},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, err := read(t, tc.from)
			if err != nil || !maps.Equal(counts(d), tc.want) {
				t.Fatalf("%v, %v", counts(d), err)
			}
			for _, g := range d.Snapshot.Demand {
				if g.Owner.Kind == "Deployment" && int(g.Requests.CPU) != tc.cpu {
					t.Errorf("processor %v", g.Requests.CPU)
				}
			}
			if !covered(d, "check", "Helm hook (test)") {
				t.Errorf("%+v", d.NotCovered)
			}
		})
	}
}

func TestWithoutHelm(t *testing.T) {
	from := control.Sources{Paths: []string{write(t, webChart())}}
	if _, err := (Workloads{Now: noon}).Read(t.Context(), from); err == nil || !strings.Contains(control.NextStep(err), "helm template") {
		t.Errorf("%v", err)
	}
}

// pack makes a chart archive as helm does.
func pack(t *testing.T, dir, name string) string {
	t.Helper()
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	out := tar.NewWriter(zip)
	err := filepath.WalkDir(filepath.Join(dir, name), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if err := out.WriteHeader(&tar.Header{Name: filepath.ToSlash(rel), Mode: 0o644, Size: int64(len(data)), Typeflag: tar.TypeReg}); err != nil {
			return err
		}
		_, err = out.Write(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), name+"-1.2.3.tgz")
	if err := os.WriteFile(file, buf.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
