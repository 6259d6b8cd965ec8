package route

import (
	"errors"
	"fmt"
)

// maxProblems bounds what one Compile reports: a person reads the first few, and
// a generated configuration can repeat one mistake thousands of times.
const maxProblems = 50

// Problem is one reason why a configuration cannot be compiled.
type Problem struct {
	// Kind is "listener", "route" or "stream route", Name that of the resource.
	Kind, Name string
	// Field is the path from the resource, e.g. "rules[2].matches[0].path".
	Field string
	// Text says what is wrong and what is allowed.
	Text string
}

// Error is "route ns/name: rules[2].matches[0].path: what is wrong".
func (p *Problem) Error() string {
	return fmt.Sprintf("%s %s: %s: %s", p.Kind, p.Name, p.Field, p.Text)
}

// problems collects; the zero value is ready.
type problems struct {
	kind, name string
	found      []error
	dropped    int
}

// within says which resource the next problems belong to.
func (p *problems) within(kind, name string) { p.kind, p.name = kind, name }

func (p *problems) add(field, format string, args ...any) {
	if len(p.found) == maxProblems {
		p.dropped++
		return
	}
	p.found = append(p.found, &Problem{Kind: p.kind, Name: p.name, Field: field, Text: fmt.Sprintf(format, args...)})
}

func (p *problems) err() error {
	if p.dropped > 0 {
		return errors.Join(append(p.found, fmt.Errorf("and %d more problems", p.dropped))...)
	}
	return errors.Join(p.found...)
}
