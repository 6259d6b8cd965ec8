package arch

import (
	"fmt"
	"go/ast"
	"path"
	"slices"
	"strconv"
	"strings"
)

// ring says what a part of the tree may import of this repository, itself
// always included. A `*` stands for one folder name: each such folder is a ring
// of its own, so siblings cannot import each other.
type ring struct {
	at  string
	may []string
}

// rings lists every place where Go code may lie, from the inside out. The most
// exact entry counts.
func rings() []ring {
	vocabulary := []string{"internal/core/unit", "internal/core/catalog", "internal/core/workload", "internal/core/plan"}
	return []ring{
		{"internal/core/unit", nil},
		{"internal/core/catalog", vocabulary[:1]},
		{"internal/core/workload", vocabulary[:1]},
		{"internal/core/plan", vocabulary[:3]},
		{"internal/core/*", vocabulary}, // the deciders
		{"internal/control", []string{"internal/core"}},
		{"internal/adapter/*", []string{"internal/core", "internal/control", "api"}},
		{"internal/proxy", []string{"internal/core/unit", "internal/core/connect"}},
		{"internal/console", []string{"internal/core", "internal/control"}},
		{"internal/cli", []string{"internal/core", "internal/control"}},
		{"internal/app", []string{"internal", "api"}},
		{"internal/arch", nil},
		{"api/*", nil},
		{"cmd/*", []string{"internal/app", "internal/cli"}},
		{"cmd/tatami-pause", nil},
		{"cmd/tatami-proxy", []string{"internal/proxy", "internal/core"}},
		{"build/*", nil},
		{"examples/*", nil},
		{"cluster", []string{"internal/app", "internal/cli", "internal/control", "internal/core", "internal/adapter", "api", "examples"}},
		{"cluster/internal", []string{"internal/control", "internal/core", "internal/adapter", "api", "examples"}},
		{"bench", []string{"internal/control", "internal/core", "internal/adapter", "internal/proxy", "api"}},
		{"conformance", []string{"internal/control", "internal/core", "internal/adapter", "internal/proxy", "api"}},
	}
}

// checkRings holds that imports point inwards.
func checkRings(t *Tree) []Violation {
	var found []Violation
	for _, f := range t.Files {
		self, may, ok := ringOf(f.Dir())
		if !ok {
			found = append(found, violation(f.Path, "no ring is named for this folder in internal/arch/rings.go"))
			continue
		}
		for _, imp := range f.Imports() {
			to, ours := folder(imp)
			if !ours || within(to, self) {
				continue
			}
			if f.Test() && self == "internal/cli" && within(to, "internal/adapter") {
				continue // its scripts run the real adapters, not mocks of them
			}
			if !slices.ContainsFunc(may, func(dir string) bool { return within(to, dir) }) {
				found = append(found, violation(f.Path, "%s must not import %s; it may import %s", self, to, orNothing(may)))
			}
		}
	}
	return found
}

// ringOf finds the most exact ring of a folder and returns the folder that the
// ring's pattern stands for.
func ringOf(dir string) (self string, may []string, ok bool) {
	exactness := -1
	for _, r := range rings() {
		depth := strings.Count(r.at, "/") + 1
		parts := strings.Split(dir, "/")
		if len(parts) < depth {
			continue
		}
		head := strings.Join(parts[:depth], "/")
		if match, _ := path.Match(r.at, head); !match {
			continue
		}
		exact := 2 * depth
		if strings.Contains(r.at, "*") {
			exact--
		}
		if exact > exactness {
			exactness, self, may, ok = exact, head, r.may, true
		}
	}
	return self, may, ok
}

// checkCore holds that core is values to values: the same snapshot must give
// the same decision in a simulation, in a test and on a cluster.
func checkCore(t *Tree) []Violation {
	var found []Violation
	for _, f := range t.Files {
		if !within(f.Dir(), "internal/core") || f.Test() {
			continue
		}
		for _, imp := range f.Imports() {
			if _, ours := folder(imp); !ours && !pure(imp) {
				found = append(found, violation(f.Path, "core must not import %s: take what it gives as a value", imp))
			}
		}
		for _, use := range clockUses(f) {
			found = append(found, violation(f.Path, "line %s: core takes the time as an argument", use))
		}
	}
	return found
}

func pure(imp string) bool {
	if imp == "net/netip" {
		return true
	}
	for _, banned := range []string{"net", "os", "log", "syscall", "plugin", "runtime", "unsafe"} {
		if within(imp, banned) {
			return false
		}
	}
	return standard(imp)
}

// clockUses finds the functions of package time that read or wait for a clock.
func clockUses(f File) []string {
	name := ""
	for _, spec := range f.AST.Imports {
		if spec.Path.Value == `"time"` {
			name = "time"
			if spec.Name != nil {
				name = spec.Name.Name
			}
		}
	}
	var uses []string
	ast.Inspect(f.AST, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok || name == "" {
			return true
		}
		pkg, ok := sel.X.(*ast.Ident)
		banned := []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer"}
		if ok && pkg.Name == name && slices.Contains(banned, sel.Sel.Name) {
			uses = append(uses, fmt.Sprintf("%d uses time.%s", f.set.Position(sel.Pos()).Line, sel.Sel.Name))
		}
		return true
	})
	return uses
}

// checkControlImports holds that control owns its ports: what needs a library
// belongs into an adapter.
func checkControlImports(t *Tree) []Violation {
	return checkOutside(t, "internal/control", func(imp string) bool { return standard(imp) },
		"control must not import %s: declare a port and use it in an adapter")
}

// checkPause holds that the program that runs once per pod stays tiny.
func checkPause(t *Tree) []Violation {
	tiny := []string{"os", "os/signal", "syscall"}
	return checkOutside(t, "cmd/tatami-pause", func(imp string) bool { return slices.Contains(tiny, imp) },
		"one copy of it runs in every pod, so it must not import %s")
}

func checkOutside(t *Tree, dir string, allowed func(string) bool, format string) []Violation {
	var found []Violation
	for _, f := range t.Files {
		if !within(f.Dir(), dir) || f.Test() {
			continue
		}
		for _, imp := range f.Imports() {
			if _, ours := folder(imp); !ours && !allowed(imp) {
				found = append(found, violation(f.Path, format, imp))
			}
		}
	}
	return found
}

// checkKubernetes holds that Kubernetes stays behind the ports. Tests are held
// to it as well: the root module must not require more because of them.
func checkKubernetes(t *Tree) []Violation {
	inside := []string{"internal/adapter", "internal/app", "api", "cluster", "bench", "conformance"}
	var found []Violation
	for _, f := range t.Files {
		if slices.ContainsFunc(inside, func(dir string) bool { return within(f.Dir(), dir) }) {
			continue
		}
		for _, imp := range f.Imports() {
			if within(imp, "k8s.io") || within(imp, "sigs.k8s.io") {
				found = append(found, violation(f.Path, "only adapters, app, api and the nested modules import Kubernetes, not %s here", strconv.Quote(imp)))
			}
		}
	}
	return found
}

func orNothing(dirs []string) string {
	if len(dirs) == 0 {
		return "nothing else of this repository"
	}
	return strings.Join(dirs, ", ")
}
