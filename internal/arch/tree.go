package arch

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// modulePath is the path of the root module; the path of every nested module is
// this and its folder, so that an import path names a folder.
const modulePath = "github.com/tatami-platform/tatami"

// Tree is the parsed repository.
type Tree struct {
	FS    fs.FS
	Files []File
	// Paths are all files and folders, skipped folders excepted.
	Paths []string
}

// File is one Go file that people wrote or a generator made.
type File struct {
	Path  string
	Lines int
	// Generated files carry the standard marker; size and doc rules leave them out.
	Generated bool
	AST       *ast.File
	set       *token.FileSet
}

// Dir is the folder of the file, which is that of its package.
func (f File) Dir() string { return path.Dir(f.Path) }

// Test reports whether only `go test` compiles the file.
func (f File) Test() bool { return strings.HasSuffix(f.Path, "_test.go") }

// lines counts the line breaks from the beginning to the end of a node.
func (f File) lines(n ast.Node) int {
	return f.set.Position(n.End()).Line - f.set.Position(n.Pos()).Line
}

// Imports lists the import paths.
func (f File) Imports() []string {
	var paths []string
	for _, spec := range f.AST.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			paths = append(paths, p)
		}
	}
	return paths
}

// Load reads and parses the tree. Folders that the go command ignores are left
// out, and so is bin/.
func Load(fsys fs.FS) (*Tree, error) {
	t := &Tree{FS: fsys}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a test of another package removed its file meanwhile
		}
		if err != nil {
			return err
		}
		if d.IsDir() && skipped(name) {
			return fs.SkipDir
		}
		t.Paths = append(t.Paths, name)
		if d.IsDir() || path.Ext(name) != ".go" {
			return nil
		}
		return t.parse(name)
	})
	return t, err
}

func skipped(dir string) bool {
	base := path.Base(dir)
	switch {
	case dir == ".", dir == ".ci":
		return false
	case dir == "bin", base == "testdata", base == "vendor", base == "node_modules":
		return true
	}
	return strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")
}

func (t *Tree) parse(name string) error {
	text, err := fs.ReadFile(t.FS, name)
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return fmt.Errorf("parsing: %w", err)
	}
	t.Files = append(t.Files, File{
		Path:      name,
		Lines:     bytes.Count(text, []byte("\n")),
		Generated: ast.IsGenerated(file),
		AST:       file,
		set:       set,
	})
	return nil
}

// Packages lists the folders that hold Go files, sorted.
func (t *Tree) Packages() []string {
	var dirs []string
	for _, f := range t.Files {
		dirs = append(dirs, f.Dir())
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// text returns the content of a file, or "" when there is none.
func (t *Tree) text(name string) string {
	data, err := fs.ReadFile(t.FS, name)
	if err != nil {
		return ""
	}
	return string(data)
}

// folder returns the folder in this repository that an import path names.
func folder(importPath string) (dir string, ours bool) {
	rest, found := strings.CutPrefix(importPath, modulePath)
	if !found || (rest != "" && rest[0] != '/') {
		return "", false
	}
	return strings.TrimPrefix(rest, "/"), true
}

// standard reports whether the path belongs to the standard library, whose
// first element has no dot.
func standard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}

// within reports whether the path is dir or lies below it.
func within(name, dir string) bool {
	return name == dir || strings.HasPrefix(name, dir+"/")
}
