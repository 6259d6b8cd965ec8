package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDocumentationIsUpToDate(t *testing.T) {
	fresh := t.TempDir()
	if err := generate(fresh); err != nil {
		t.Fatal(err)
	}
	committed := filepath.Join("..", "..", "..", "docs")
	for _, dir := range []string{"reference", "man"} {
		want, got := read(t, filepath.Join(fresh, dir)), read(t, filepath.Join(committed, dir))
		if len(want) == 0 {
			t.Errorf("nothing was generated in %s", dir)
		}
		for name, content := range want {
			if diff := cmp.Diff(content, got[name]); diff != "" {
				t.Errorf("docs/%s/%s differs; run `go generate ./internal/cli` (-generated +there):\n%s", dir, name, diff)
			}
		}
		for name := range got {
			if dir == "man" && want[name] == "" {
				t.Errorf("docs/%s/%s is of no command", dir, name)
			}
		}
	}
}

func TestGenerateRemovesOldManPages(t *testing.T) {
	dir := t.TempDir()
	if err := generate(dir); err != nil {
		t.Fatal(err)
	}
	first := read(t, filepath.Join(dir, "man"))
	old := filepath.Join(dir, "man", "tatami-gone.1")
	if err := os.WriteFile(old, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := generate(dir); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, read(t, filepath.Join(dir, "man"))); diff != "" {
		t.Errorf("a second run gave something else (-first +second):\n%s", diff)
	}
}

func TestManPagesSayWhatTheyAre(t *testing.T) {
	dir := t.TempDir()
	if err := generate(dir); err != nil {
		t.Fatal(err)
	}
	page := read(t, filepath.Join(dir, "man"))["tatami-image-build.1"]
	for _, want := range []string{`.TH "TATAMI-IMAGE-BUILD" "1"`, ".SH NAME", ".SH SYNOPSIS", ".SH OPTIONS", ".SH EXAMPLES", ".SH SEE ALSO"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in the page:\n%s", want, page)
		}
	}
}

func read(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(content)
	}
	return all
}
