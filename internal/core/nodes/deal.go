package nodes

import (
	"cmp"
	"maps"
	"slices"

	"github.com/tatami-platform/tatami/internal/core/workload"
)

// dealer deals the pods of groups that care for one topology other than the
// host to its domains, before anything is packed: pod by pod, each to the domain
// with the fewest of its kind in which all constraints allow it, as the
// scheduler would.
type dealer struct {
	*compiler
	key     string
	domains []string
	at      []int // domain of each candidate; -1 for none
	rules   map[string]*rule
	cares   []care
	dealt   map[string]int
}

// deal splits the pieces of all groups that care for the topology.
func (c *compiler) deal(key string) {
	d := &dealer{compiler: c, key: key, rules: map[string]*rule{}, cares: make([]care, len(c.s.Demand)), dealt: map[string]int{}}
	d.learn()
	d.countBound()
	var waiting []int
	for g := range d.cares {
		if d.cares[g].involved && c.need[g] > 0 {
			d.cares[g].domains = d.open(g)
			waiting = append(waiting, g)
		}
	}
	slices.SortStableFunc(waiting, func(a, b int) int { return d.rank(a, b) })
	for len(waiting) > 0 {
		var still []int
		for _, g := range waiting {
			if !d.reachable(g) {
				still = append(still, g)
				continue
			}
			d.place(g)
		}
		if len(still) == len(waiting) {
			d.giveUp(still)
			return
		}
		waiting = still
	}
}

// rank puts groups first that have the least choice: those that refuse others,
// then those with few domains; those that follow others come last.
func (d *dealer) rank(a, b int) int {
	x, y := &d.cares[a], &d.cares[b]
	weigh := func(c *care) int {
		switch {
		case len(c.near) > 0:
			return 3
		case len(c.apart) > 0:
			return 0
		case len(c.spread) == 0:
			return 1
		}
		return 2
	}
	return cmp.Or(weigh(x)-weigh(y), len(x.domains)-len(y.domains))
}

// countBound counts the pods that run already.
func (d *dealer) countBound() {
	seen := map[string]bool{}
	for i := range d.candidates {
		if v := d.candidates[i].Labels[d.key]; v != "" {
			seen[v] = true
		}
	}
	for i := range d.stays {
		v := d.stays[i].labels[d.key]
		if v == "" {
			continue
		}
		seen[v] = true
		for g, n := range d.stays[i].bound {
			d.count(g, v, n)
		}
	}
	d.domains = slices.Sorted(maps.Keys(seen))
	d.at = make([]int, len(d.candidates))
	for i := range d.candidates {
		n, ok := slices.BinarySearch(d.domains, d.candidates[i].Labels[d.key])
		if d.at[i] = n; !ok {
			d.at[i] = -1
		}
	}
}

func (d *dealer) count(g int, domain string, n int) {
	for _, r := range d.cares[g].chosenBy {
		r.chosen[domain] += n
	}
	for _, r := range d.cares[g].apart {
		r.owners[domain] += n
	}
}

// open lists the domains in which a group could run at all.
func (d *dealer) open(g int) []string {
	some := make([]bool, len(d.domains))
	for i, at := range d.at {
		if at >= 0 && !some[at] && d.allowed[g].Has(i) {
			some[at] = true
		}
	}
	seen := map[string]bool{}
	for at, v := range d.domains {
		if some[at] {
			seen[v] = true
		}
	}
	for i := range d.stays {
		if v := d.stays[i].labels[d.key]; v != "" && !seen[v] && d.allowedOn(g, &d.stays[i]) && d.s.Demand[g].Requests.Fits(d.stays[i].free) {
			seen[v] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// reachable says whether what the group needs near it has a place already, or
// the group is its own company.
func (d *dealer) reachable(g int) bool {
	for _, r := range d.cares[g].near {
		if !r.selects[g] && total(r.chosen) == 0 {
			return false
		}
	}
	return true
}

func total(count map[string]int) int {
	sum := 0
	for _, n := range count {
		sum += n
	}
	return sum
}

// place deals all pieces of a group.
func (d *dealer) place(g int) {
	var out []piece
	for _, p := range d.pieces[g] {
		if at := d.stayOf(p); at != nil {
			// Tied to a node: its domain is given.
			d.count(g, at.labels[d.key], p.count*p.unit[0].Count)
			out = append(out, p)
			continue
		}
		got := map[string]int{}
		left := p.count
		for ; left > 0; left-- {
			v, ok := d.choose(g, p.unit[0].Count, got)
			if !ok {
				break
			}
			got[v]++
			d.dealt[v]++
			d.count(g, v, p.unit[0].Count)
		}
		for _, v := range d.domains {
			if got[v] == 0 {
				continue
			}
			domain := maps.Clone(p.domain)
			if domain == nil {
				domain = map[string]string{}
			}
			domain[d.key] = v
			out = append(out, piece{unit: p.unit, count: got[v], domain: domain})
		}
		if left > 0 {
			d.pending = append(d.pending, d.noDomain(g, left*p.unit[0].Count))
		}
	}
	d.pieces[g] = out
}

// stayOf is the node that a piece is tied to; nil for none.
func (d *dealer) stayOf(p piece) *stay {
	name, tied := p.domain[workload.LabelHostname]
	if !tied {
		return nil
	}
	for i := range d.stays {
		if d.hostname(&d.stays[i]) == name {
			return &d.stays[i]
		}
	}
	return nil
}

// choose finds the domain for the next pod: of those that all constraints allow,
// the one with the fewest pods of its kind, then with the fewest dealt.
func (d *dealer) choose(g, pods int, got map[string]int) (string, bool) {
	me := &d.cares[g]
	best, found := "", false
	var bestKey [4]int
	for _, v := range me.domains {
		if !d.lets(g, pods, v) {
			continue
		}
		// What the pod's own constraints count, and what others count it among:
		// both stay even, whatever is placed first.
		alike, uneven := 0, 0
		for _, sp := range me.spread {
			alike += sp.chosen[v]
		}
		for _, r := range me.chosenBy {
			alike += r.chosen[v]
			for _, o := range me.domains {
				uneven = max(uneven, r.chosen[v]-r.chosen[o])
			}
		}
		key := [4]int{uneven, alike, got[v], d.dealt[v]}
		if me.hostile && len(me.spread) == 0 {
			key = [4]int{-got[v], alike, d.dealt[v]}
		}
		if !found || slices.Compare(key[:], bestKey[:]) < 0 {
			best, bestKey, found = v, key, true
		}
	}
	return best, found
}

// lets says whether the constraints allow so many more pods of the group in a
// domain.
func (d *dealer) lets(g, pods int, v string) bool {
	me := &d.cares[g]
	for _, r := range me.apart {
		if r.chosen[v] > 0 || pods > 1 && r.selects[g] {
			return false
		}
	}
	for _, r := range me.refused {
		if r.owners[v] > 0 {
			return false
		}
	}
	for _, r := range me.near {
		if r.chosen[v] == 0 && (total(r.chosen) > 0 || !r.selects[g]) {
			return false
		}
	}
	return !slices.ContainsFunc(me.spread, func(sp spreadRule) bool { return sp.refuses(v, pods, me.domains) })
}

// refuses says whether so many more pods in a domain would be too many.
func (sp spreadRule) refuses(v string, pods int, domains []string) bool {
	if !sp.required {
		return false
	}
	after := sp.chosen[v]
	if sp.self {
		after += pods
	}
	return after-sp.least(domains) > sp.skew
}

// least is the smallest count over the domains; 0 when there are fewer of them
// than the constraint wants.
func (sp spreadRule) least(domains []string) int {
	if len(domains) < sp.minDomains || len(domains) == 0 {
		return 0
	}
	least := sp.chosen[domains[0]]
	for _, v := range domains[1:] {
		least = min(least, sp.chosen[v])
	}
	return least
}

// giveUp records the groups whose company never comes.
func (d *dealer) giveUp(groups []int) {
	for _, g := range groups {
		n := pods(d.pieces[g])
		d.pieces[g] = nil
		d.pending = append(d.pending, Pending{
			Group: g, Count: n, Code: NoDomain,
			Text: "pod affinity on " + d.key + " needs pods that are not in the demand, or that wait for these themselves",
		})
	}
}

// noDomain says which constraint leaves no domain to a group.
func (d *dealer) noDomain(g, n int) Pending {
	me := &d.cares[g]
	p := Pending{Group: g, Count: n, Code: NoDomain}
	switch {
	case len(me.domains) == 0:
		return d.impossible(g, n)
	case len(me.apart)+len(me.refused) > 0:
		p.Text = "anti-affinity on " + d.key + " leaves no domain free"
	case len(me.near) > 0:
		p.Text = "pod affinity on " + d.key + " points to domains where the pods may not run"
	default:
		p.Text = "topology spread on " + d.key + " allows no further pod in the domains where it may run"
	}
	return p
}
