package route

import (
	"iter"
	"slices"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/connect"
)

// fewMatches is up to how many a host's matches are tried one after the other:
// that is faster than hashing the path, and needs no maps.
const fewMatches = 8

// paths is the table of one host on one listener.
type paths struct {
	// all in the order in which they are tried.
	all []*match
	// byPath is nil when there are few.
	byPath *byPath
}

// byPath holds parts of all by their path.
type byPath struct {
	exact  map[string][]*match
	regex  []*match
	prefix map[string][]*match
	root   []*match // the prefix "/"
	// longest prefix in bytes; depths has bit n set where one has n segments, the
	// last bit for all above.
	longest int
	depths  uint64
}

const depthBits = 63

// arrange builds byPath from all, which is sorted.
func (p *paths) arrange() {
	if len(p.all) <= fewMatches {
		return
	}
	exact, prefix := 0, 0
	for run := range runs(p.all) {
		switch run[0].kind {
		case connect.PathExact:
			exact++
		case connect.PathPrefix:
			prefix++
		case connect.PathRegex:
		}
	}
	t := &byPath{exact: make(map[string][]*match, exact), prefix: make(map[string][]*match, prefix)}
	for run := range runs(p.all) {
		first := run[0]
		switch {
		case first.kind == connect.PathExact:
			t.exact[first.path] = run
		case first.kind == connect.PathRegex:
			t.regex = run
		case first.path == "":
			t.root = run
		default:
			t.prefix[first.path] = run
			t.longest = max(t.longest, len(first.path))
			t.depths |= 1 << min(strings.Count(first.path, "/"), depthBits)
		}
	}
	p.byPath = t
}

// runs cuts sorted matches into those of one path; expressions are one run.
func runs(all []*match) iter.Seq[[]*match] {
	return func(yield func([]*match) bool) {
		for i := 0; i < len(all); {
			first, end := all[i], i+1
			for end < len(all) && all[end].kind == first.kind &&
				(first.kind == connect.PathRegex || all[end].path == first.path) {
				end++
			}
			if !yield(all[i:end:end]) {
				return
			}
			i = end
		}
	}
}

// find is the first match of a request, nil without one.
func (p *paths) find(r *Request, path, query string) *match {
	t := p.byPath
	if t == nil {
		for _, m := range p.all {
			if m.onPath(path) && m.rest(r, query) {
				return m
			}
		}
		return nil
	}
	if m := firstOf(t.exact[path], r, query); m != nil {
		return m
	}
	for _, m := range t.regex {
		if m.regex.MatchString(path) && m.rest(r, query) {
			return m
		}
	}
	if m := t.findPrefix(r, path, query); m != nil {
		return m
	}
	return firstOf(t.root, r, query)
}

// findPrefix tries the prefixes of the path from the longest to the shortest.
func (t *byPath) findPrefix(r *Request, path, query string) *match {
	end := len(path)
	if end > t.longest {
		end = strings.LastIndexByte(path[:t.longest+1], '/')
	}
	if end <= 0 {
		return nil
	}
	for depth := strings.Count(path[:end], "/"); end > 0; depth-- {
		if t.depths&(1<<min(max(depth, 0), depthBits)) != 0 {
			if m := firstOf(t.prefix[path[:end]], r, query); m != nil {
				return m
			}
		}
		end = strings.LastIndexByte(path[:end], '/')
	}
	return nil
}

func firstOf(list []*match, r *Request, query string) *match {
	for _, m := range list {
		if m.rest(r, query) {
			return m
		}
	}
	return nil
}

// changed is the table with other matches: without those of routes that are gone,
// and with more. nil: nothing is left. O(n + m log m) for m added.
func (p *paths) changed(gone map[*Route]struct{}, added []*match) *paths {
	slices.SortStableFunc(added, compare)
	var old []*match
	if p != nil {
		old = p.all
	}
	all := make([]*match, 0, len(old)+len(added))
	for _, m := range old {
		if _, is := gone[m.rule.Route]; is {
			continue
		}
		for len(added) > 0 && compare(added[0], m) < 0 {
			all, added = append(all, added[0]), added[1:]
		}
		all = append(all, m)
	}
	all = append(all, added...)
	if len(all) == 0 {
		return nil
	}
	next := &paths{all: slices.Clip(all)}
	next.arrange()
	return next
}
