package peer

import (
	"slices"

	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// claim is a node that Karpenter is about to order: it keeps every type that
// could still hold its pods, and looks at no price until the end.
type claim struct {
	host     int
	at       *constraint
	types    []int32 // indexes into the pool's types
	requests unit.Resources
	// room is the most that any type has, beside its daemons, by each amount.
	room  unit.Resources
	pods  []plan.Bound
	count int
	ports []workload.HostPort
	// full is a set of forms that will never fit again.
	full []uint64
}

func (c *claim) isFull(form int) bool {
	return form/64 < len(c.full) && c.full[form/64]&(1<<(form%64)) != 0
}

func (c *claim) markFull(form int) {
	for len(c.full) <= form/64 {
		c.full = append(c.full, 0)
	}
	c.full[form/64] |= 1 << (form % 64)
}

// verdict of a try to add a pod.
type verdict int

const (
	refused verdict = iota // as things stand
	never                  // whatever else happens in this run
	crowded                // as never, for want of room or type
	fine
)

// try says whether a pod could be added, and what the claim would be then.
func (k *karpenter) try(c *claim, f *form) (to *constraint, types []int32, v verdict) {
	g := &k.s.Demand[f.group]
	requests := sum(c.requests, g.Requests)
	if !fits(requests, c.room) {
		return nil, nil, crowded
	}
	if !tolerates(f.tolerations, c.at.pool.pool.Taints) {
		return nil, nil, never
	}
	if to = k.market.narrow(c.at, f.wish); to == nil {
		return nil, nil, crowded
	}
	if to, v = k.within(c, f, to); v != fine {
		return nil, nil, v
	}
	if types = filter(c.types, to, requests, g.HostPorts, c.ports); len(types) == 0 {
		return nil, nil, k.blame(c, f, requests)
	}
	return to, types, fine
}

// within narrows a constraint to the domains that all topologies allow.
func (k *karpenter) within(c *claim, f *form, to *constraint) (*constraint, verdict) {
	p := place{host: c.host, reqs: to.reqs}
	out := to
	for _, ts := range [2][]*topology{f.carried, k.topologies.avoiding[f.group]} {
		for _, t := range ts {
			if t.key == workload.LabelHostname {
				if yes, over := t.host(f, c.host); over {
					return nil, never
				} else if !yes {
					return nil, refused
				}
				continue
			}
			domains := t.next(f, &p)
			if len(domains) == 0 {
				return nil, refused
			}
			if out = k.market.narrow(out, k.domainWish(t.key, domains)); out == nil {
				return nil, refused
			}
		}
	}
	return out, fine
}

// blame finds out whether types are lacking whatever the topology says; then
// the claim is full for the form.
func (k *karpenter) blame(c *claim, f *form, requests unit.Resources) verdict {
	g := &k.s.Demand[f.group]
	to := k.market.narrow(c.at, f.wish)
	if to == nil || len(filter(c.types, to, requests, g.HostPorts, c.ports)) == 0 {
		return crowded
	}
	return refused
}

// filter keeps the types that have a compatible offering, room, and the ports.
func filter(types []int32, to *constraint, requests unit.Resources, asked, taken []workload.HostPort) []int32 {
	if workload.PortsConflict(asked, taken) {
		return nil
	}
	out := make([]int32, 0, len(types))
	for _, i := range types {
		t := &to.pool.types[i]
		if to.ok[i] && fits(sum(requests, t.daemons), t.allocatable) && (len(t.ports) == 0 || !workload.PortsConflict(asked, t.ports)) {
			out = append(out, i)
		}
	}
	if len(to.flex) > 0 && !to.flexible(out) {
		return nil
	}
	return out
}

// add puts a pod into the claim.
func (k *karpenter) add(c *claim, f *form, to *constraint, types []int32) {
	g := &k.s.Demand[f.group]
	c.at, c.requests = to, c.requests.Plus(g.Requests)
	if len(types) != len(c.types) || c.count == 0 {
		c.types = types
		c.room = unit.Resources{}
		for _, i := range types {
			t := &to.pool.types[i]
			c.room = c.room.Max(t.allocatable.Minus(t.daemons))
		}
	}
	c.ports = append(c.ports, g.HostPorts...)
	c.count++
	c.pods = addPods(c.pods, f.group, 1)
	k.topologies.recordClaim(f.group, c)
}

// recordClaim counts a pod wherever its domain is known.
func (ts *topologies) recordClaim(group int, c *claim) {
	for _, t := range ts.counting[group] {
		if !t.countsClaim(c.at) {
			continue
		}
		if t.key == workload.LabelHostname {
			t.hosts[c.host]++
			t.pods++
			continue
		}
		if values, finite := c.at.reqs[t.key].Values(); finite && (len(values) == 1 || t.relation == apartFrom) {
			t.record(values, 1)
		}
	}
	for _, t := range ts.refusing[group] {
		if t.key == workload.LabelHostname {
			t.hosts[c.host]++
		} else if values, finite := c.at.reqs[t.key].Values(); finite {
			t.record(values, 1)
		}
	}
}

func (k *karpenter) domainWish(key string, domains []string) *wish {
	return k.market.wish(workload.Requirements{key: workload.OneOf(domains...)})
}

func addPods(pods []plan.Bound, group, n int) []plan.Bound {
	i := slices.IndexFunc(pods, func(b plan.Bound) bool { return b.Group == group })
	if i < 0 {
		return append(pods, plan.Bound{Group: group, Count: n})
	}
	pods[i].Count += n
	return pods
}

// fits and sum are the quick ways for pods without extended resources.
func fits(r, free unit.Resources) bool {
	if r.CPU > free.CPU || r.Memory > free.Memory || r.Disk > free.Disk || r.Pods > free.Pods {
		return false
	}
	return len(r.Extended) == 0 || r.Fits(free)
}

func sum(a, b unit.Resources) unit.Resources {
	if len(a.Extended)+len(b.Extended) > 0 {
		return a.Plus(b)
	}
	return unit.Resources{CPU: a.CPU + b.CPU, Memory: a.Memory + b.Memory, Disk: a.Disk + b.Disk, Pods: a.Pods + b.Pods}
}
