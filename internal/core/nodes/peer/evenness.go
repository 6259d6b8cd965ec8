package peer

import (
	"fmt"
	"slices"

	"github.com/tatami-platform/tatami/internal/core/workload"
)

// evenness counts the pods that a required topology spread constraint looks at,
// as Kubernetes' scheduler does.
type evenness struct {
	index      int
	key        string
	constraint workload.Spread
	owner      *workload.Group
	chosen     []bool
	domains    map[string]*spreadDomain
	levels     []int // number of open domains by count of pods
	opened     int
}

type spreadDomain struct{ hosts, pods int }

func (sc *scheduler) watchSpreads(g int) {
	owner := &sc.s.Demand[g]
	for _, t := range owner.Spread {
		if !t.Required {
			continue
		}
		at := slices.IndexFunc(sc.spreads, func(e *evenness) bool {
			return e.key == t.TopologyKey && e.signature() == signature(owner, t)
		})
		if at < 0 {
			at = len(sc.spreads)
			e := &evenness{index: at, key: t.TopologyKey, constraint: t, owner: owner, domains: map[string]*spreadDomain{}}
			e.chosen = make([]bool, len(sc.s.Demand))
			for o := range sc.s.Demand {
				other := &sc.s.Demand[o]
				if e.chosen[o] = other.Owner.Namespace == owner.Owner.Namespace && t.Selector.Matches(other.Labels); e.chosen[o] {
					sc.counted[o] = append(sc.counted[o], e)
				}
			}
			sc.spreads = append(sc.spreads, e)
		}
		sc.even[g] = append(sc.even[g], sc.spreads[at])
	}
}

func (e *evenness) signature() string { return signature(e.owner, e.constraint) }

// signature tells constraints apart that do not count alike.
func signature(g *workload.Group, t workload.Spread) string {
	var eligible []string
	for _, other := range g.Spread {
		if other.Required {
			eligible = append(eligible, other.TopologyKey)
		}
	}
	for _, a := range g.Alternatives {
		eligible = append(eligible, a.Key())
	}
	tolerations := ""
	if t.HonorTaints {
		tolerations = fmt.Sprint(g.Tolerations)
	}
	return fmt.Sprintf("%q %d %d %t %t %t %s %q %s", g.Owner.Namespace, t.MaxSkew, t.MinDomains, t.IgnoreAffinity, t.HonorTaints,
		t.Selector.Everything, t.Selector.Requirements.Key(), eligible, tolerations)
}

// considers says whether nodes with these labels and taints are looked at.
func (e *evenness) considers(labels map[string]string, taints []workload.Taint) bool {
	for _, t := range e.owner.Spread {
		if _, ok := labels[t.TopologyKey]; t.Required && !ok {
			return false
		}
	}
	if _, kept := workload.Untolerated(e.owner.Tolerations, taints); kept && e.constraint.HonorTaints {
		return false
	}
	return e.constraint.IgnoreAffinity || len(e.owner.Alternatives) == 0 ||
		slices.ContainsFunc(e.owner.Alternatives, func(rs workload.Requirements) bool { return rs.Allow(labels) })
}

func (e *evenness) domain(value string) *spreadDomain {
	d, ok := e.domains[value]
	if !ok {
		d = &spreadDomain{}
		e.domains[value] = d
	}
	return d
}

// open counts hosts of a domain.
func (e *evenness) open(value string, n int) {
	d := e.domain(value)
	before := d.hosts > 0
	d.hosts += n
	switch after := d.hosts > 0; {
	case after && !before:
		e.opened++
		e.level(d.pods, 1)
	case before && !after:
		e.opened--
		e.level(d.pods, -1)
		if d.pods == 0 {
			delete(e.domains, value) // hosts of estimates come and go
		}
	}
}

func (e *evenness) count(value string, n int) {
	d := e.domain(value)
	if d.hosts > 0 {
		e.level(d.pods, -1)
		e.level(d.pods+n, 1)
	}
	d.pods += n
}

func (e *evenness) level(pods, n int) {
	for len(e.levels) <= pods {
		e.levels = append(e.levels, 0)
	}
	e.levels[pods] += n
}

func (e *evenness) allows(h *host, self bool) bool {
	value, ok := h.labels[e.key]
	if !ok {
		return false
	}
	n := e.domain(value).pods
	if self {
		n++
	}
	return n-e.least() <= e.constraint.MaxSkew
}

func (e *evenness) least() int {
	if e.opened < e.constraint.MinDomains {
		return 0
	}
	for pods, domains := range e.levels {
		if domains > 0 {
			return pods
		}
	}
	return 0
}
