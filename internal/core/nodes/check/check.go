package check

import (
	"fmt"

	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// Rule names what a fleet breaks.
type Rule string

// The rules.
const (
	Accounting     Rule = "Accounting"     // each pod exactly once, indexes in range
	Offer          Rule = "Offer"          // what is bought is for sale, within its limit
	PoolRule       Rule = "Pool"           // requirements of the pool or node group
	PoolLimit      Rule = "PoolLimit"      // limits of the pool, maximum of the node group
	MinValues      Rule = "MinValues"      // flexibility that the pool asks for
	Others         Rule = "Others"         // alternatives of a purchase do as well
	Figures        Rule = "Figures"        // amounts stated with a purchase are true
	Fit            Rule = "Resources"      // requests are within what is left
	Selector       Rule = "NodeAffinity"   // node selector and required node affinity
	Taint          Rule = "Taint"          // taints are tolerated
	Port           Rule = "HostPort"       // ports of the node are taken once
	AntiAffinity   Rule = "AntiAffinity"   // required pod anti-affinity, both ways
	Affinity       Rule = "PodAffinity"    // required pod affinity
	TopologySpread Rule = "TopologySpread" // required topology spread constraints
	Leaving        Rule = "Leaving"        // nodes that are being deleted are not used
	Bound          Rule = "Bound"          // the lower bound is below the price
)

// Violation is one rule that a fleet breaks.
type Violation struct {
	Rule Rule
	// Node and Group say where, as far as it concerns one: the name of a node
	// that exists or "purchase 3", and the owner of the pods.
	Node, Group string
	Text        string
}

// String is the violation as one line.
func (v Violation) String() string {
	return fmt.Sprintf("%s: node %q, group %q: %s", v.Rule, v.Node, v.Group, v.Text)
}

// checker holds what all rules look at.
type checker struct {
	s     *plan.Snapshot
	f     nodes.Fleet
	found []Violation
	// machines are the nodes as they will be, those that are leaving left out.
	machines []machine
	classes  classes
	// topologies are, by group, the keys of topologies that matter to it.
	topologies [][]string
	products   map[productKey]*product
}

// Fleet checks all rules. The order of violations is the same for the same
// input.
func Fleet(s *plan.Snapshot, f nodes.Fleet) []Violation {
	c := &checker{s: s, f: f, classes: classify(s.Demand), products: map[productKey]*product{}}
	c.topologies = c.topologyKeys()
	c.build()
	c.accounting()
	c.purchases()
	c.poolLimits()
	c.groupLimits()
	c.offerLimits()
	for i := range c.machines {
		c.machine(&c.machines[i])
	}
	c.antiAffinity()
	c.replay()
	if f.Bound > f.Hourly() {
		c.report(Bound, "", -1, "the bound %s is above the price %s", f.Bound, f.Hourly())
	}
	return c.found
}

// report notes a violation; group is an index into the demand, or -1.
func (c *checker) report(r Rule, node string, group int, format string, args ...any) {
	v := Violation{Rule: r, Node: node, Text: fmt.Sprintf(format, args...)}
	if group >= 0 && group < len(c.s.Demand) {
		v.Group = c.s.Demand[group].Owner.String()
	}
	c.found = append(c.found, v)
}

// accounting holds that each pod is bound, placed, purchased or pending.
func (c *checker) accounting() {
	total := make([]int, len(c.s.Demand))
	for i := range c.machines {
		m := &c.machines[i]
		for _, p := range m.pods {
			total[p.group] += m.copies * (p.bound + p.added)
		}
	}
	for _, p := range c.f.Pending {
		if p.Group < 0 || p.Group >= len(total) || p.Count <= 0 {
			c.report(Accounting, "", p.Group, "%d pods of group %d are pending", p.Count, p.Group)
			continue
		}
		total[p.Group] += p.Count
		if p.Code == "" || p.Text == "" {
			c.report(Accounting, "", p.Group, "%d pods are pending without a reason", p.Count)
		}
	}
	for g, n := range total {
		if n != c.s.Demand[g].Count {
			c.report(Accounting, "", g, "%d pods are bound, placed, purchased or pending, %d are wanted", n, c.s.Demand[g].Count)
		}
	}
}

// machine checks the rules that concern one node. What was bound there before
// is taken as it is: a scheduler does not undo what it did.
func (c *checker) machine(m *machine) {
	used, added := m.taken, false
	for _, p := range m.pods {
		g := &c.s.Demand[p.group]
		used = used.Plus(g.Requests.Times(int64(p.bound + p.added)))
		if p.added == 0 {
			continue
		}
		added = true
		if t, ok := workload.Untolerated(g.Tolerations, m.taints); ok {
			c.report(Taint, m.name, p.group, "taint %s=%s:%s is not tolerated", t.Key, t.Value, t.Effect)
		}
		if !allowed(g, m.labels) {
			c.report(Selector, m.name, p.group, "no alternative of the node affinity is met")
		}
	}
	if short := used.Short(m.allocatable); added && short != "" {
		c.report(Fit, m.name, -1, "%s: %d is used, %d is allocatable", short, used.Get(short), m.allocatable.Get(short))
	}
	c.ports(m)
}

func allowed(g *workload.Group, labels map[string]string) bool {
	for _, rs := range g.Alternatives {
		if rs.Allow(labels) {
			return true
		}
	}
	return len(g.Alternatives) == 0
}
