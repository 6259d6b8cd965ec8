package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tatami-platform/tatami/internal/core/connect"
)

// write makes files below a new folder and returns it.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const shop = `# A shop with two backends.
node: {name: shop-1, zone: us-east-1a}
listeners:
- name: web
  address: 127.0.0.1:8080
routes:
- name: shop
  created: 2026-11-01T12:00:00Z
  hostnames: [shop.example]
  rules:
  - matches: [/api, {path: {value: /v1, kind: exact}}]
    backends: [api]
    requestTimeout: 1m30s
  - backends:
    - api
    - {cluster: web, weight: 0}
clusters:
- name: api
  endpoints: ["127.0.0.1:9000", {address: "127.0.0.1:9001", zone: b, weight: 3}]
- name: web
  endpoints:
  - unix:/run/web.sock
`

func TestLoad(t *testing.T) {
	got, err := Load(filepath.Join(write(t, map[string]string{"shop.yaml": shop}), "shop.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Version) != 16 {
		t.Errorf("version %q, want 16 digits", got.Version)
	}
	got.Version = ""
	endpoint := func(address string) connect.Endpoint { return mustEndpoint(t, address) }
	second := endpoint("127.0.0.1:9001")
	second.Zone, second.Weight = "b", 3
	want := &connect.Config{
		Node:      connect.Node{Name: "shop-1", Zone: "us-east-1a"},
		Listeners: []*connect.Listener{{Name: "web", Address: "127.0.0.1:8080"}},
		Routes: []*connect.Route{{
			Name: "shop", Hostnames: []string{"shop.example"}, Created: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC),
			Rules: []connect.Rule{
				{
					Matches: []connect.Match{
						{Path: connect.PathMatch{Value: "/api"}},
						{Path: connect.PathMatch{Kind: connect.PathExact, Value: "/v1"}},
					},
					Backends: []connect.Backend{{Cluster: "api", Weight: 1}}, RequestTimeout: 90 * time.Second,
				},
				{Backends: []connect.Backend{{Cluster: "api", Weight: 1}, {Cluster: "web"}}},
			},
		}},
		Clusters: []*connect.Cluster{
			{Name: "api", Endpoints: []connect.Endpoint{endpoint("127.0.0.1:9000"), second}},
			{Name: "web", Endpoints: []connect.Endpoint{{Address: "unix:/run/web.sock"}}},
		},
	}
	if diff := cmp.Diff(want, got, compareAddresses); diff != "" {
		t.Error(diff)
	}
}

func mustEndpoint(t *testing.T, address string) connect.Endpoint {
	t.Helper()
	e, err := resolveBackend(t.Context(), address)
	if err != nil || len(e) != 1 {
		t.Fatal(e, err)
	}
	return e[0]
}

// TestForms holds that all ways to write a value mean the same.
func TestForms(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"JSON":           {"a.json": "{\n\t\"clusters\": [\n\t\t{\"name\": \"web\", \"endpoints\": [{\"address\": \"127.0.0.1:9000\"}], \"idleTimeout\": \"5s\"}\n\t]\n}"},
		"short":          {"a.yaml": "clusters:\n- name: web\n  endpoints: [127.0.0.1:9000]\n  idleTimeout: 5s"},
		"units":          {"a.yaml": "clusters: [{name: web, endpoints: [127.0.0.1:9000], idleTimeout: 5000ms}]"},
		"enum":           {"a.yaml": "clusters: [{name: web, endpoints: [127.0.0.1:9000], idleTimeout: 5s, protocol: auto}]"},
		"null":           {"a.yaml": "routes:\nclusters: [{name: web, endpoints: [127.0.0.1:9000], idleTimeout: 5s, tls: null}]"},
		"alias":          {"a.yaml": "listeners: []\nclusters: [{name: &n web, endpoints: [&a 127.0.0.1:9000], idleTimeout: 5s, service: null}]"},
		"two documents":  {"a.yaml": "routes: []\n---\nclusters: [{name: web, endpoints: [127.0.0.1:9000], idleTimeout: 5s}]"},
		"a folder":       {"a.yaml": "routes: []", "b.yml": "clusters: [{name: web, endpoints: [127.0.0.1:9000], idleTimeout: 5s}]", "c.txt": "x", ".d.yaml": ":"},
		"first document": {"a.yaml": "---\nclusters: [{name: web, endpoints: [127.0.0.1:9000], idleTimeout: 5s}]\n---\n"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Load(write(t, files))
			if err != nil {
				t.Fatal(err)
			}
			want := []*connect.Cluster{{Name: "web", Endpoints: []connect.Endpoint{mustEndpoint(t, "127.0.0.1:9000")}, IdleTimeout: 5 * time.Second}}
			if diff := cmp.Diff(want, c.Clusters, compareAddresses); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestJSONEscapes holds that JSON is read as JSON is, in which YAML differs a little.
func TestJSONEscapes(t *testing.T) {
	const text = `{"routes": [{"name": "a", "rules": [{"filters": {"direct": {"status": 200, "body": "\ud83d\uDE00 \\ud83d \u00e9 \/ \ud83d"}}}]}]}`
	c, err := Load(write(t, map[string]string{"a.json": text}))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.Routes[0].Rules[0].Filters.Direct.Body, "😀 \\ud83d é / \uFFFD"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLoadRefuses(t *testing.T) {
	for name, x := range map[string]struct {
		text string
		want []string // the beginnings of the lines, without the folder
	}{
		"unknown field":       {"clusters:\n- name: web\n  endpoint: []", []string{`a.yaml:3: clusters[0]: the field "endpoint" is not known; allowed: name, service, endpoints,`}},
		"unknown at the top":  {"kind: Config", []string{`a.yaml:1: the field "kind" is not known; allowed: node, listeners,`}},
		"snake case":          {"stream_routes: []", []string{`a.yaml:1: the field "stream_routes" is not known`}},
		"twice":               {"routes: []\nroutes: []", []string{`a.yaml:2: the field "routes" is there twice`}},
		"merge key":           {"x: &x {name: a}\nclusters: [{<<: *x}]", []string{`a.yaml:1: the field "x"`, `a.yaml:2: clusters[0]: the field "<<"`}},
		"no list":             {"clusters: web", []string{"a.yaml:1: clusters: it is no list"}},
		"no object":           {"clusters: [[]]", []string{"a.yaml:1: clusters[0]: it is no object"}},
		"text at the top":     {"hello", []string{"a.yaml:1: it is no object"}},
		"no YAML":             {"a: b: c", []string{"a.yaml: "}},
		"duration":            {"clusters:\n- {name: a, idleTimeout: 5}", []string{`a.yaml:2: clusters[0].idleTimeout: "5" is no duration; allowed: numbers with units`}},
		"empty duration":      {"clusters: [{name: a, idleTimeout: ''}]", []string{`a.yaml:1: clusters[0].idleTimeout: "" is no duration`}},
		"time":                {"routes: [{name: a, created: yesterday}]", []string{`a.yaml:1: routes[0].created: "yesterday" is no time`}},
		"number":              {"listeners: [{name: a, address: '127.0.0.1:80', maxConnections: -1}]", []string{`a.yaml:1: listeners[0].maxConnections: "-1" is no number; allowed: 0 to 4294967295`}},
		"flag":                {"clusters: [{name: a, outlier: {allServerErrors: 1}}]", []string{`a.yaml:1: clusters[0].outlier.allServerErrors: "1" is neither`}},
		"enumeration":         {"listeners: [{name: a, protocol: UDP}]", []string{`a.yaml:1: listeners[0].protocol: "UDP" is not known; allowed: HTTP, HTTPS, TLS, TCP`}},
		"short for a list":    {"routes: [{name: a, rules: [{filters: {cors: '*'}}]}]", []string{`a.yaml:1: routes[0].rules[0].filters.cors: "*" is no object`}},
		"PEM":                 {"trustBundles: [{name: a, pem: '?'}]", []string{"a.yaml:1: trustBundles[0].pem: it is neither PEM nor base64"}},
		"bundle of nothing":   {"trustBundles: [{name: a, pem: 'AAAA'}]", []string{"a.yaml:1: trustBundles[0]: there is no certificate in it"}},
		"port":                {"clusters:\n- name: a\n  healthCheck:\n    port: 65536", []string{"a.yaml:4: clusters[0].healthCheck.port: 65536 is no port"}},
		"same name":           {"clusters:\n- name: a\n- name: a", []string{`a.yaml:3: clusters[1].name: "a" is already at `}},
		"node twice":          {"node: {name: a}\n---\nnode: {name: b}", []string{"a.yaml:3: node is there twice"}},
		"empty":               {"# nothing\n", []string{"configuration: there is nothing in it"}},
		"file and text":       {"trustBundles: [{name: a, pem: 'AAAA', file: x}]", []string{"a.yaml:1: trustBundles[0].file: there is a text and a file"}},
		"no such file":        {"trustBundles: [{name: a, file: x.pem}]", []string{"a.yaml:1: trustBundles[0].file: open "}},
		"meaning of a value":  {"routes:\n- name: b\n  rules:\n  - matches:\n    - /a\n    - path: x\n- name: a", []string{`a.yaml:6: routes[0].rules[0].matches[1].path.value: "x" is no path`}},
		"more than one fault": {"node: {zone: ' '}\nroutes: [{name: a, rules: [{backends: [x]}]}]\nlisteners: [{name: b, address: x}]", []string{"node.zone: ", "a.yaml:3: listeners[0].address", "a.yaml:2: routes[0].rules[0].backends[0].cluster"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := write(t, map[string]string{"a.yaml": x.text})
			_, err := Load(dir)
			if err == nil {
				t.Fatal("it was accepted")
			}
			lines := strings.Split(strings.ReplaceAll(err.Error(), dir+"/", ""), "\n")
			if len(lines) != len(x.want) {
				t.Fatalf("got %d lines, want %d:\n%v", len(lines), len(x.want), err)
			}
			for i, line := range lines {
				if !strings.HasPrefix(line, x.want[i]) {
					t.Errorf("got  %s\nwant %s...", line, x.want[i])
				}
			}
		})
	}
}

func TestLoadFolders(t *testing.T) {
	dir := write(t, map[string]string{"a.yaml": "clusters: [{name: a}]", "b.yaml": "clusters:\n- name: b\n- name: a"})
	_, err := Load(dir)
	want := filepath.Join(dir, "b.yaml") + `:3: clusters[1].name: "a" is already at ` + filepath.Join(dir, "a.yaml") + ":1;"
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v\nwant %s", err, want)
	}
	if _, err := Load(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no .yaml, .yml or .json file") {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := Load(filepath.Join(t.TempDir(), "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	dir = write(t, map[string]string{"a.yaml": "node: {name: a}", "b.yaml": "node: {name: b}"})
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "node is in another file") {
		t.Errorf("two nodes: %v", err)
	}
}

// TestAliasesDoNotMultiply holds that a small file cannot stand for a huge one.
func TestAliasesDoNotMultiply(t *testing.T) {
	text := "routes:\n- &a {name: a, hostnames: &h [" + strings.Repeat("a.example,", 3000) + "]}\n" +
		"- {name: b, rules: [&r {matches: &m [" + strings.Repeat("/a,", 3000) + "]}" + strings.Repeat(",*r", 5000) + "]}\n"
	start := time.Now()
	_, err := Load(write(t, map[string]string{"a.yaml": text}))
	if err == nil || !strings.Contains(err.Error(), "more than 2000000 values") {
		t.Errorf("got %.200v", err)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestPathsOfProblemsAreFields holds that what Validate calls a field is one.
func TestPathsOfProblemsAreFields(t *testing.T) {
	known := map[string]bool{}
	for _, m := range fileMessages() {
		for i := range m.Fields().Len() {
			known[m.Fields().Get(i).JSONName()] = true
		}
	}
	files, err := filepath.Glob("../../core/connect/validate*.go")
	if err != nil || len(files) < 4 {
		t.Fatal(files, err)
	}
	checked := 0
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, call := range []string{`.sub("`, `.at("`} {
			for _, rest := range strings.Split(string(data), call)[1:] {
				name, _, _ := strings.Cut(rest, `"`)
				checked++
				if !known[name] && !strings.HasSuffix(path, "_test.go") {
					t.Errorf("%s: there is no field %s", path, name)
				}
			}
		}
	}
	if checked < 100 {
		t.Errorf("only %d fields were found", checked)
	}
}
