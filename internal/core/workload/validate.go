package workload

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/unit"
)

// No machine is larger: amounts beyond are mistakes, and would overflow sums.
const (
	maxCPU    = 10_000 * unit.MilliCPU(1000)
	maxMemory = 1024 * unit.TiB
	maxAmount = 1 << 40
	maxPods   = 10_000_000
)

// Fault is what is wrong with one group.
type Fault struct {
	Group int // index into the groups that were validated
	// Field is the path of what is wrong in a pod's specification.
	Field string
	// Text says why as one sentence.
	Text string
	// Fatal says that the group must not be planned with: it could not exist.
	// Others can, but will not run, or not as meant.
	Fatal bool
}

// Validate lists what is wrong with groups, in their order. Running says
// whether pods of a group run already, so that others may follow them; nil means
// that none do.
func Validate(groups []Group, running func(group int) bool) []Fault {
	var faults []Fault
	for i := range groups {
		for _, f := range groups[i].faults() {
			f.Group = i
			faults = append(faults, f)
		}
	}
	faults = append(faults, stuck(groups, running)...)
	slices.SortStableFunc(faults, func(a, b Fault) int { return a.Group - b.Group })
	return faults
}

func (g *Group) faults() []Fault {
	return slices.Concat(g.numberFaults(), requestFaults(g.Requests), g.termFaults())
}

func (g *Group) numberFaults() []Fault {
	switch r := g.Replicas; {
	case g.Count < 0 || g.Count > maxPods:
		return fatal("replicas", fmt.Sprintf("the number of pods, %d, is not between 0 and %d", g.Count, maxPods))
	case r.Min < 0 || r.Max < r.Min || r.Max > maxPods:
		return fatal("replicas", fmt.Sprintf("the range from %d to %d is none", r.Min, r.Max))
	}
	return nil
}

func fatal(field, text string) []Fault { return []Fault{{Field: field, Text: text, Fatal: true}} }

func requestFaults(r unit.Resources) []Fault {
	out := slices.Concat(
		outside("cpu", int64(r.CPU), int64(maxCPU)), outside("memory", int64(r.Memory), int64(maxMemory)),
		outside("ephemeral-storage", int64(r.Disk), int64(maxMemory)), outside("pods", r.Pods, maxPods))
	for _, name := range slices.Sorted(maps.Keys(r.Extended)) {
		limit := int64(maxAmount)
		if strings.HasPrefix(name, "hugepages-") {
			limit = int64(maxMemory)
		}
		out = append(out, outside(name, r.Extended[name], limit)...)
	}
	if r.CPU == 0 || r.Memory == 0 {
		out = append(out, Fault{Field: "resources.requests", Text: missing(r) + ": its pods fit anywhere and are not paid for"})
	}
	return out
}

func (g *Group) termFaults() []Fault {
	for _, s := range g.Spread {
		if s.MaxSkew < 1 || s.TopologyKey == "" {
			return fatal("topologySpreadConstraints", "a constraint needs a topology key and a skew of at least 1")
		}
	}
	for _, t := range slices.Concat(g.Affinity, g.AntiAffinity) {
		if t.TopologyKey == "" {
			return fatal("affinity", "a term needs a topology key")
		}
	}
	return nil
}

func missing(r unit.Resources) string {
	switch {
	case r.CPU == 0 && r.Memory == 0:
		return "it requests neither processor nor memory"
	case r.CPU == 0:
		return "it requests no processor"
	}
	return "it requests no memory"
}

func outside(name string, n, most int64) []Fault {
	switch {
	case n < 0:
		return fatal("resources.requests", "it requests less than nothing of "+name)
	case n > most:
		return fatal("resources.requests", "it requests more "+name+" than any machine has")
	}
	return nil
}

// stuck finds groups whose required affinity lets no pod be the first one. A
// pod may be the first of those that it looks for when it is one of them itself
// and none runs yet; otherwise somebody whom it looks for must be able to run
// before.
func stuck(groups []Group, running func(int) bool) []Fault {
	free := make([]bool, len(groups))
	for i := range groups {
		free[i] = running != nil && running(i) || groups[i].Count == 0
	}
	for changed := true; changed; {
		changed = false
		for i := range groups {
			if !free[i] && groups[i].canStart(groups, free) {
				free[i], changed = true, true
			}
		}
	}
	var out []Fault
	for i := range groups {
		if free[i] {
			continue
		}
		text := "it must run beside pods that cannot run before it does: the affinity is a circle"
		if !slices.ContainsFunc(groups, func(o Group) bool { return groups[i].follows(&o) }) {
			text = "it must run beside pods that do not exist"
		}
		out = append(out, Fault{Group: i, Field: "affinity.podAffinity", Text: text})
	}
	return out
}

func (g *Group) canStart(groups []Group, free []bool) bool {
	if g.follows(g) {
		return true
	}
	for i := range groups {
		if free[i] && groups[i].Count > 0 && g.follows(&groups[i]) {
			return true
		}
	}
	return false
}

// follows says whether pods of o are such that g must be beside: every required
// term must choose them, as one pod has to meet them all.
func (g *Group) follows(o *Group) bool {
	for _, t := range g.Affinity {
		if t.Weight == 0 && !t.chooses(g, o) {
			return false
		}
	}
	return true
}

// chooses says whether a term of g looks at pods of o.
func (t PodTerm) chooses(g, o *Group) bool {
	return (t.AllNamespaces || slices.Contains(t.in(g), o.Owner.Namespace)) && t.Selector.Matches(o.Labels)
}
