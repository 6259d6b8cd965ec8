package arch

import (
	"fmt"
	"slices"
	"strings"
)

// Violation is one place where the tree breaks a rule.
type Violation struct {
	Rule string
	// Where is the path, followed by a name where the rule is about one
	// declaration: "internal/cli/up.go runUp".
	Where string
	Text  string
}

// String is the place and what is wrong there.
func (v Violation) String() string { return v.Where + ": " + v.Text }

// Rule is one thing that must hold for the whole tree.
type Rule struct {
	Name  string
	Check func(*Tree) []Violation
}

// Rules lists all rules.
func Rules() []Rule {
	return []Rule{
		{"rings", checkRings},
		{"core-is-pure", checkCore},
		{"control-takes-only-std", checkControlImports},
		{"kubernetes-stays-outside", checkKubernetes},
		{"pause-is-tiny", checkPause},
		{"function-size", checkFunctions},
		{"file-size", checkFiles},
		{"main-size", checkMains},
		{"small-ports", checkPorts},
		{"package-doc", checkDocs},
		{"go-mod", checkModules},
		{"code-map", checkCodeMap},
		{"links", checkLinks},
		{"twin-readmes", checkTwins},
	}
}

// Exception lets one violation stand.
type Exception struct {
	Rule, Where, Reason string
}

// Apply runs the rule and drops what the exceptions allow. An exception of this
// rule that allows nothing, or gives no reason, is a violation itself.
func (r Rule) Apply(t *Tree, exceptions []Exception) []Violation {
	found := r.Check(t)
	for _, e := range exceptions {
		if e.Rule != r.Name {
			continue
		}
		left := slices.DeleteFunc(slices.Clone(found), func(v Violation) bool { return v.Where == e.Where })
		if len(left) == len(found) {
			left = append(left, Violation{r.Name, e.Where, "this exception is not needed any more: remove it from exceptions.go"})
		}
		if strings.TrimSpace(e.Reason) == "" {
			left = append(left, Violation{r.Name, e.Where, "this exception gives no reason"})
		}
		found = left
	}
	for i := range found {
		found[i].Rule = r.Name
	}
	return found
}

// violation is short for the rules: Apply fills in the name of the rule.
func violation(where, format string, args ...any) Violation {
	return Violation{Where: where, Text: fmt.Sprintf(format, args...)}
}
