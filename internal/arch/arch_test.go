package arch

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/tools/txtar"
)

// TestRepository runs every rule on this repository.
func TestRepository(t *testing.T) {
	tree, err := Load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.Packages()) < 5 || tree.text("go.mod") == "" {
		t.Fatalf("this is not the repository: packages %q", tree.Packages())
	}
	for _, rule := range Rules() {
		t.Run(rule.Name, func(t *testing.T) {
			for _, v := range rule.Apply(tree, Exceptions()) {
				t.Error(v)
			}
		})
	}
}

// TestRulesRefuse runs each rule on a tree that breaks it. The header of each
// archive names the rule and lists every violation it must find, and no other.
func TestRulesRefuse(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	proved := map[string]bool{}
	for _, name := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			rule, want, tree := readArchive(t, name)
			proved[rule.Name] = len(want) > 0 || proved[rule.Name]
			var got []string
			for _, v := range rule.Apply(tree, nil) {
				got = append(got, v.String())
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.EqualFunc(got, want, strings.HasPrefix) {
				t.Errorf("violations:\n  %s\nwant, as beginnings:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
			}
		})
	}
	for _, rule := range Rules() {
		if !proved[rule.Name] {
			t.Errorf("no archive in testdata breaks the rule %s", rule.Name)
		}
	}
}

func TestExceptions(t *testing.T) {
	tree := load(t, fstest.MapFS{"internal/control/doc.go": {Data: []byte("package control\n")}})
	rule := ruleNamed(t, "package-doc")
	const where = "internal/control/doc.go"
	for _, tt := range []struct {
		name string
		list []Exception
		want string
	}{
		{"none", nil, "too short"},
		{"one that fits", []Exception{{"package-doc", where, "a reason"}}, ""},
		{"one of another rule", []Exception{{"file-size", where, "a reason"}}, "too short"},
		{"one without a reason", []Exception{{"package-doc", where, " "}}, "gives no reason"},
		{"one too many", []Exception{{"package-doc", where, "a"}, {"package-doc", "gone.go", "b"}}, "not needed any more"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := rule.Apply(tree, tt.list)
			if tt.want == "" && len(got) == 0 {
				return
			}
			if len(got) != 1 || tt.want == "" || !strings.Contains(got[0].Text, tt.want) {
				t.Errorf("got %v, want one violation with %q", got, tt.want)
			}
		})
	}
}

func TestLoadRefusesWhatDoesNotParse(t *testing.T) {
	_, err := Load(fstest.MapFS{"a/a.go": {Data: []byte("package a\nfunc {\n")}})
	if err == nil || !strings.Contains(err.Error(), "a/a.go") {
		t.Errorf("error = %v, want one that names a/a.go", err)
	}
}

func readArchive(t *testing.T, name string) (Rule, []string, *Tree) {
	t.Helper()
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var rule Rule
	var want []string
	for line := range strings.Lines(string(archive.Comment)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "rule":
			rule = ruleNamed(t, value)
		case "want":
			want = append(want, value)
		}
	}
	if rule.Check == nil {
		t.Fatalf("%s names no rule", name)
	}
	files := fstest.MapFS{}
	for _, f := range archive.Files {
		files[f.Name] = &fstest.MapFile{Data: grow(t, f.Data)}
	}
	return rule, want, load(t, files)
}

// grow replaces a line "// lines: N" by N lines, so that archives of long files
// stay short.
func grow(t *testing.T, data []byte) []byte {
	t.Helper()
	var out strings.Builder
	for line := range strings.Lines(string(data)) {
		if n, found := strings.CutPrefix(strings.TrimSpace(line), "// lines: "); found {
			count, err := strconv.Atoi(n)
			if err != nil {
				t.Fatalf("%q is no number of lines", n)
			}
			out.WriteString(strings.Repeat("// more\n", count))
			continue
		}
		out.WriteString(line)
	}
	return []byte(out.String())
}

func load(t *testing.T, files fstest.MapFS) *Tree {
	t.Helper()
	tree, err := Load(files)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func ruleNamed(t *testing.T, name string) Rule {
	t.Helper()
	for _, rule := range Rules() {
		if rule.Name == name {
			return rule
		}
	}
	t.Fatalf("there is no rule %q", name)
	return Rule{}
}
