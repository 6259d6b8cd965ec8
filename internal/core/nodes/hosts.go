package nodes

import (
	"fmt"
	"maps"
	"slices"

	"github.com/tatami-platform/tatami/internal/core/workload"
)

// hosts are the constraints about pods on one node.
type hosts struct {
	most   []int   // of each group on a node; 0 is any number
	apart  [][]int // groups that never share a node with it, sorted
	joints []joint
	// singles are the bounds behind most, for nodes on which pods run already.
	singles [][]joint
}

// joint bounds how many pods of several groups together are on one node. Of pods
// that run already, all in counted count.
type joint struct {
	groups, counted []bool
	most            int
}

// running counts the pods on a node that a bound is about.
func (j *joint) running(st *stay) int {
	n := 0
	for g, k := range st.bound {
		if j.counted[g] {
			n += k
		}
	}
	return n
}

// hostRules works out what manifests demand about pods on one node.
func (c *compiler) hostRules() hosts {
	n := len(c.s.Demand)
	h := hosts{most: make([]int, n), apart: make([][]int, n), singles: make([][]joint, n)}
	c.hostSpread(&h)
	c.hostAntiAffinity(&h)
	c.hostPorts(&h)
	for g := range h.apart {
		slices.Sort(h.apart[g])
		h.apart[g] = slices.Compact(h.apart[g])
	}
	return h
}

// add bounds groups that share a node: one by itself, several jointly.
func (h *hosts) add(groups, counted []bool, most int) {
	one, n := -1, 0
	for g, in := range groups {
		if in {
			one = g
			n++
		}
	}
	j := joint{groups: groups, counted: counted, most: most}
	switch {
	case n == 1:
		h.singles[one] = append(h.singles[one], j)
		if h.most[one] == 0 || h.most[one] > most {
			h.most[one] = most
		}
	case n > 1:
		h.joints = append(h.joints, j)
	}
}

// hostSpread turns spread over hosts into a bound for each node: a new node can
// always be empty, so the least count is 0. Of the pods to be placed only those
// that carry such a rule count: in the order that is planned for they come
// first, and others do not look at it. Of pods that run, all that it selects do.
func (c *compiler) hostSpread(h *hosts) {
	type spread struct {
		selects []bool
		skew    int
	}
	rules := map[string]spread{}
	var order []string
	carries := make([]bool, len(c.s.Demand))
	for g := range c.s.Demand {
		group := &c.s.Demand[g]
		for _, sp := range group.Spread {
			if !sp.Required || sp.TopologyKey != workload.LabelHostname {
				continue
			}
			carries[g] = true
			sel := c.selection(group, workload.PodTerm{Selector: sp.Selector})
			key := fmt.Sprintf("%s %d", sel.key, sp.MaxSkew)
			if _, known := rules[key]; !known {
				rules[key] = spread{selects: sel.groups, skew: sp.MaxSkew}
				order = append(order, key)
			}
		}
	}
	for _, key := range order {
		r := rules[key]
		counted := make([]bool, len(carries))
		for g := range counted {
			counted[g] = carries[g] && r.selects[g]
		}
		h.add(counted, r.selects, r.skew)
	}
}

// hostAntiAffinity turns anti-affinity on hosts into bounds and into pairs that
// stay apart. Groups that carry the same term and all choose each other share
// one bound, which is far less than all their pairs.
func (c *compiler) hostAntiAffinity(h *hosts) {
	terms := map[string]*antiTerm{}
	var order []string
	for g := range c.s.Demand {
		group := &c.s.Demand[g]
		for _, t := range group.AntiAffinity {
			if t.Weight != 0 || t.TopologyKey != workload.LabelHostname {
				continue
			}
			sel := c.selection(group, t)
			if terms[sel.key] == nil {
				terms[sel.key] = &antiTerm{selects: sel.groups, owners: make([]bool, len(c.s.Demand))}
				order = append(order, sel.key)
			}
			terms[sel.key].owners[g] = true
		}
	}
	for _, key := range order {
		terms[key].apply(h)
	}
}

// antiTerm is one selection that groups refuse to share a host with.
type antiTerm struct{ selects, owners []bool }

func (t *antiTerm) apply(h *hosts) {
	mutual := make([]bool, len(t.owners))
	for g, owner := range t.owners {
		mutual[g] = owner && t.selects[g]
	}
	h.add(mutual, t.selects, 1)
	for g, owner := range t.owners {
		if !owner {
			continue
		}
		for o, chosen := range t.selects {
			if chosen && g != o && !(mutual[g] && mutual[o]) {
				h.apart[g] = append(h.apart[g], o)
				h.apart[o] = append(h.apart[o], g)
			}
		}
	}
}

// hostPorts lets one pod for each port and address onto a node. A pod that takes
// a port on all addresses is in the way of everybody who wants that port.
func (c *compiler) hostPorts(h *hosts) {
	type port struct {
		protocol string
		number   int32
	}
	users := map[port]map[string][]bool{} // by address, "" being all
	var order []port
	for g := range c.s.Demand {
		for _, p := range c.s.Demand[g].HostPorts {
			p = p.Canonical()
			key, ip := port{p.Protocol, p.Port}, p.IP
			if users[key] == nil {
				users[key] = map[string][]bool{"": make([]bool, len(c.s.Demand))}
				order = append(order, key)
			}
			if users[key][ip] == nil {
				users[key][ip] = make([]bool, len(c.s.Demand))
			}
			users[key][ip][g] = true
		}
	}
	for _, key := range order {
		everywhere := users[key][""]
		for _, ip := range slices.Sorted(maps.Keys(users[key])) {
			if ip == "" && len(users[key]) > 1 {
				continue // counted with each single address
			}
			both := slices.Clone(users[key][ip])
			for g, in := range everywhere {
				both[g] = both[g] || in
			}
			h.add(both, both, 1)
		}
	}
}

// blastRadius bounds the share of one workload on one node.
func (c *compiler) blastRadius(h *hosts) {
	if c.p.MaxWorkloadShare == 0 {
		return
	}
	pods, groups := map[workload.Ref]int{}, map[workload.Ref][]bool{}
	var order []workload.Ref
	for g := range c.s.Demand {
		d := &c.s.Demand[g]
		if d.Batch || len(c.companions(g)) > 0 {
			continue
		}
		if groups[d.Owner] == nil {
			groups[d.Owner] = make([]bool, len(c.s.Demand))
			order = append(order, d.Owner)
		}
		groups[d.Owner][g] = true
		pods[d.Owner] += d.Count
	}
	for _, owner := range order {
		if all := pods[owner]; all >= 2 {
			h.add(groups[owner], groups[owner], max(1, all*c.p.MaxWorkloadShare/100))
		}
	}
}
