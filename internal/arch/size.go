package arch

import (
	"go/ast"
	"path"
	"strings"
)

// The budgets, in lines. They count whole lines, comments included: what a
// reader has to scroll past.
const (
	functionLines = 70
	fileLines     = 500
	testFileLines = 900
	mainLines     = 60
	portMethods   = 6
)

// checkFunctions holds the length of functions, methods included. Function
// literals count as part of the function that they stand in; in tests the rows
// of a table do not count, because nobody has to follow them.
func checkFunctions(t *Tree) []Violation {
	var found []Violation
	for _, f := range t.Files {
		if f.Generated {
			continue
		}
		for _, decl := range f.AST.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			lines := f.lines(fn) + 1
			if f.Test() {
				lines -= tableLines(f, fn)
			}
			if lines > functionLines {
				found = append(found, violation(f.Path+" "+fn.Name.Name, "%d lines, more than %d", lines, functionLines))
			}
		}
	}
	return found
}

// tableLines counts the lines of the outermost composite literals in a function.
func tableLines(f File, fn *ast.FuncDecl) int {
	lines := 0
	ast.Inspect(fn, func(n ast.Node) bool {
		table, ok := n.(*ast.CompositeLit)
		if ok {
			lines += f.lines(table)
		}
		return !ok
	})
	return lines
}

// checkFiles holds the length of files.
func checkFiles(t *Tree) []Violation {
	var found []Violation
	for _, f := range t.Files {
		limit := fileLines
		if f.Test() {
			limit = testFileLines
		}
		if !f.Generated && f.Lines > limit {
			found = append(found, violation(f.Path, "%d lines, more than %d", f.Lines, limit))
		}
	}
	return found
}

// checkMains holds that the file with func main only reads arguments and exits:
// logic there cannot be tested without running a program. Generators, which lie
// in an internal folder, are no programs that people run.
func checkMains(t *Tree) []Violation {
	var found []Violation
	for _, f := range t.Files {
		if f.AST.Name.Name != "main" || f.Test() || f.Generated || strings.Contains("/"+f.Path, "/internal/") {
			continue
		}
		if hasMain(f.AST) && f.Lines > mainLines {
			found = append(found, violation(f.Path, "%d lines, more than %d for the file with func main", f.Lines, mainLines))
		}
	}
	return found
}

func hasMain(file *ast.File) bool {
	for _, decl := range file.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "main" {
			return true
		}
	}
	return false
}

// checkPorts holds that a port of control asks for little, so that a simulator
// can implement it too.
func checkPorts(t *Tree) []Violation {
	var found []Violation
	for _, f := range t.Files {
		if !within(f.Dir(), "internal/control") || f.Test() {
			continue
		}
		for name, n := range interfaces(t, f) {
			if n > portMethods {
				found = append(found, violation(f.Path+" "+name, "%d methods, more than %d for a port", n, portMethods))
			}
		}
	}
	return found
}

// interfaces counts the methods of the interfaces that a file declares. An
// embedded interface of the same package adds its own.
func interfaces(t *Tree, f File) map[string]int {
	declared := map[string]*ast.InterfaceType{}
	for _, other := range t.Files {
		if path.Dir(other.Path) == f.Dir() {
			addInterfaces(other.AST, declared)
		}
	}
	own := map[string]*ast.InterfaceType{}
	addInterfaces(f.AST, own)
	counts := map[string]int{}
	for name, it := range own {
		counts[name] = countMethods(it, declared)
	}
	return counts
}

func addInterfaces(file *ast.File, to map[string]*ast.InterfaceType) {
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok {
			if it, ok := spec.Type.(*ast.InterfaceType); ok {
				to[spec.Name.Name] = it
			}
		}
		return true
	})
}

func countMethods(it *ast.InterfaceType, declared map[string]*ast.InterfaceType) int {
	n := 0
	for _, field := range it.Methods.List {
		n += len(field.Names)
		if embedded, ok := field.Type.(*ast.Ident); ok && declared[embedded.Name] != nil {
			n += countMethods(declared[embedded.Name], declared)
		}
	}
	return n
}
