package peer

import (
	"math"

	"github.com/tatami-platform/tatami/internal/core/workload"
)

// place is where a pod might go: a node or a claim, by its number as a host, and
// what is known of its labels.
type place struct {
	host int
	// labels of a node; nil for a claim, which has reqs.
	labels map[string]string
	reqs   workload.Requirements
}

// may says whether the place can be in a domain.
func (p *place) may(key, domain string) bool {
	if p.labels != nil {
		return p.labels[key] == domain
	}
	r, ok := p.reqs[key]
	return !ok || r.Has(domain)
}

// host answers for topologies over host names. An answer of never stays true:
// pods do not leave a host while a run lasts.
func (t *topology) host(f *form, at int) (yes, never bool) {
	n := t.hosts[at]
	switch t.relation {
	case spreadOver:
		if t.chosen[f.group] {
			n++
		}
		return n <= t.skew, n > t.skew
	case affinityTo:
		return n > 0 || t.chosen[f.group] && t.pods == 0, false
	default:
		return n == 0, n > 0
	}
}

// next lists the domains in which Karpenter would put a pod: the emptiest for a
// spread, all without such pods for anti-affinity, all with them for affinity.
func (t *topology) next(f *form, p *place) []string {
	may := func(d string) bool {
		r, ok := f.strict[t.key]
		return !ok || r.Has(d)
	}
	if t.relation == spreadOver {
		return t.emptiest(f, p, may)
	}
	if t.relation == affinityTo {
		return t.near(f, p, may)
	}
	var out []string
	for i, d := range t.domains {
		if t.counts[i] == 0 && may(d) && p.may(t.key, d) {
			out = append(out, d)
		}
	}
	return out
}

func (t *topology) emptiest(f *form, p *place, may func(string) bool) []string {
	least, supported := math.MaxInt, 0
	for i, d := range t.domains {
		if may(d) {
			supported++
			least = min(least, t.counts[i])
		}
	}
	if supported < t.min {
		least = 0
	}
	self := 0
	if t.chosen[f.group] {
		self = 1
	}
	var best []string
	fewest := math.MaxInt
	for i, d := range t.domains {
		n := t.counts[i] + self
		if !p.may(t.key, d) || n-least > t.skew || n > fewest {
			continue
		}
		if n < fewest {
			best, fewest = nil, n
		}
		best = append(best, d)
	}
	return t.oneOf(best)
}

// oneOf draws, as the original does by the order of a map.
func (t *topology) oneOf(domains []string) []string {
	if len(domains) < 2 {
		return domains
	}
	i := t.chance.IntN(len(domains))
	return domains[i : i+1]
}

// near also lets the first pod choose. Karpenter leaves it one or two domains of
// those that are possible, at random; here it is one, so that the pods that come
// after it are sure to be near.
func (t *topology) near(f *form, p *place, may func(string) bool) []string {
	var out []string
	anywhere := false
	for i, d := range t.domains {
		if t.counts[i] == 0 || !may(d) {
			continue
		}
		anywhere = true
		if p.may(t.key, d) {
			out = append(out, d)
		}
	}
	if len(out) > 0 || anywhere || !t.chosen[f.group] {
		return out
	}
	for _, d := range t.domains {
		if may(d) && p.may(t.key, d) {
			out = append(out, d)
		}
	}
	return t.oneOf(out)
}
