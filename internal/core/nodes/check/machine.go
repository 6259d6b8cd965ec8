package check

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// machine is a node as it will be, or several new ones that are alike.
type machine struct {
	name, pool string
	labels     map[string]string
	taints     []workload.Taint
	// allocatable is for all pods; taken is what daemons and strangers have of it.
	allocatable, taken, capacity unit.Resources
	pods                         []resident
	copies                       int
	purchase                     bool
}

// resident says how many pods of a group are on a machine: those bound before,
// and those that the fleet adds.
type resident struct{ group, bound, added int }

// build makes the machines of the snapshot and the fleet. Entries that name
// what does not exist are reported and left out.
func (c *checker) build() {
	at := make([]int, len(c.s.Nodes)) // index of a node's machine
	for i := range c.s.Nodes {
		n := &c.s.Nodes[i]
		at[i] = -1
		if n.Leaving {
			continue
		}
		at[i] = len(c.machines)
		c.machines = append(c.machines, c.existing(n))
	}
	for _, p := range c.f.Placed {
		switch {
		case p.Node < 0 || p.Node >= len(at):
			c.report(Accounting, "", -1, "pods are placed on node %d, which does not exist", p.Node)
		case at[p.Node] < 0:
			c.report(Leaving, c.s.Nodes[p.Node].Name, -1, "pods are placed on a node that is leaving")
		default:
			c.settle(&c.machines[at[p.Node]], p.Pods, false)
		}
	}
	for i := range c.f.Purchases {
		c.machines = append(c.machines, c.bought(i))
	}
}

func (c *checker) existing(n *plan.Node) machine {
	m := machine{
		name: n.Name, pool: n.Pool, labels: maps.Clone(n.Labels), taints: n.Taints,
		allocatable: n.Allocatable, taken: n.Reserved, capacity: n.Allocatable, copies: 1,
	}
	if m.labels == nil {
		m.labels = map[string]string{}
	}
	if n.Offering.Shape != nil {
		m.capacity = n.Offering.Shape.Capacity(c.s.Kubelet)
	}
	m.labels[workload.LabelHostname] = cmp.Or(m.labels[workload.LabelHostname], n.Name)
	c.settle(&m, n.Pods, true)
	return m
}

// bought makes the machine of a purchase.
func (c *checker) bought(i int) machine {
	p := &c.f.Purchases[i]
	m := machine{name: purchaseName(i), pool: p.Pool, copies: max(p.Count, 0), purchase: true}
	if p.Offering.Shape != nil {
		made := c.product(p.Pool, p.Offering)
		m.labels, m.taints = made.labels, made.taints
		m.allocatable, m.capacity, m.taken = made.allocatable, made.capacity, made.daemons
		if p.Offering.Capacity == catalog.Fargate {
			m.allocatable = p.Allocatable // sizes of Fargate are what they say
		}
	}
	c.settle(&m, p.Pods, false)
	return m
}

// settle puts pods onto a machine.
func (c *checker) settle(m *machine, pods []plan.Bound, bound bool) {
	for _, b := range pods {
		if b.Group < 0 || b.Group >= len(c.s.Demand) || b.Count <= 0 {
			c.report(Accounting, m.name, b.Group, "%d pods of group %d", b.Count, b.Group)
			continue
		}
		i := slices.IndexFunc(m.pods, func(r resident) bool { return r.group == b.Group })
		if i < 0 {
			i = len(m.pods)
			m.pods = append(m.pods, resident{group: b.Group})
		}
		if bound {
			m.pods[i].bound += b.Count
		} else {
			m.pods[i].added += b.Count
		}
	}
}

// domain is the domain of a topology in which the machine lies. Each new
// machine has a host name of its own, whatever it will be.
func (m *machine) domain(key string) (value string, ok bool) {
	if key == workload.LabelHostname {
		return m.name, true
	}
	value, ok = m.labels[key]
	return value, ok
}

// capacityOf sums what a pool's nodes report, and says whether any is new.
func (c *checker) capacityOf(pool string) (sum unit.Resources, bought bool) {
	for i := range c.machines {
		if m := &c.machines[i]; m.pool == pool {
			sum = sum.Plus(m.capacity.Times(int64(m.copies)))
			bought = bought || m.purchase
		}
	}
	return sum, bought
}

func (c *checker) pool(name string) *workload.Pool {
	for i := range c.s.Pools {
		if c.s.Pools[i].Name == name {
			return &c.s.Pools[i]
		}
	}
	return nil
}

func (c *checker) nodeGroup(name string) *workload.NodeGroup {
	for i := range c.s.NodeGroups {
		if c.s.NodeGroups[i].Name == name {
			return &c.s.NodeGroups[i]
		}
	}
	return nil
}

func purchaseName(i int) string { return fmt.Sprintf("purchase %d", i) }

func offerKey(o catalog.Offering) string {
	name := ""
	if o.Shape != nil {
		name = o.Shape.Name
	}
	return name + "/" + o.Zone + "/" + string(o.Capacity)
}

func keys(m map[string]int64) []string { return slices.Sorted(maps.Keys(m)) }
