package arch

import (
	"path"
	"regexp"
	"strings"

	"golang.org/x/mod/modfile"
)

// checkModules holds that the root module can be installed with `go install`,
// which refuses replace and exclude, and that all modules agree on Go.
func checkModules(t *Tree) []Violation {
	release := ""
	if root, err := modfile.Parse("go.mod", []byte(t.text("go.mod")), nil); err == nil && root.Go != nil {
		release = minor(root.Go.Version)
	}
	var found []Violation
	for _, name := range t.Paths {
		base := path.Base(name)
		if base != "go.mod" && name != "tools.mod" {
			continue
		}
		mod, err := modfile.Parse(name, []byte(t.text(name)), nil)
		if err != nil {
			found = append(found, violation(name, "%v", err))
			continue
		}
		found = append(found, moduleFaults(name, mod, release)...)
	}
	return found
}

func moduleFaults(name string, mod *modfile.File, release string) []Violation {
	var found []Violation
	want := modulePath
	if dir := path.Dir(name); dir != "." {
		want += "/" + dir
	}
	if mod.Module == nil || mod.Module.Mod.Path != want {
		found = append(found, violation(name, "the module path must be %s, so that an import path names a folder", want))
	}
	if mod.Go == nil || minor(mod.Go.Version) != release {
		found = append(found, violation(name, "all modules must ask for Go %s", release))
	}
	if mod.Toolchain != nil {
		found = append(found, violation(name, "a toolchain line would differ from what people build with"))
	}
	if name == "go.mod" {
		if len(mod.Replace) > 0 || len(mod.Exclude) > 0 {
			found = append(found, violation(name, "replace or exclude in the root module breaks go install"))
		}
		return found
	}
	if strings.HasSuffix(name, "/go.mod") && !replacesRoot(mod) {
		found = append(found, violation(name, "a nested module replaces %s by the folder it lies in", modulePath))
	}
	return found
}

func replacesRoot(mod *modfile.File) bool {
	for _, r := range mod.Replace {
		if r.Old.Path == modulePath && strings.HasPrefix(r.New.Path, "..") {
			return true
		}
	}
	return false
}

// minor is the release without its patch: a dependency may ask for a later patch.
func minor(version string) string {
	return regexp.MustCompile(`^\d+\.\d+`).FindString(version)
}
