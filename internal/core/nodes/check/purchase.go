package check

import (
	"slices"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/unit"
)

// purchases checks what is bought: that it is for sale, that the pool allows
// it, that alternatives would do, and that stated amounts are true.
func (c *checker) purchases() {
	offers := map[string]catalog.Offering{}
	for _, o := range c.s.Offers {
		offers[offerKey(o)] = o
	}
	first := len(c.machines) - len(c.f.Purchases)
	for i := range c.f.Purchases {
		p, m := &c.f.Purchases[i], &c.machines[first+i]
		if p.Count <= 0 || p.Offering.Shape == nil {
			c.report(Offer, m.name, -1, "%d nodes of %s are bought", p.Count, offerKey(p.Offering))
			continue
		}
		if p.Offering.Capacity == catalog.Fargate {
			c.fargate(m, p)
			continue
		}
		for _, o := range slices.Concat([]catalog.Offering{p.Offering}, p.Others) {
			sold, ok := offers[offerKey(o)]
			if !ok || o.Shape == nil || sold.Price != o.Price || sold.Region != o.Region {
				c.report(Offer, m.name, -1, "%s at %s is not for sale", offerKey(o), o.Price)
				continue
			}
			c.poolAllows(m, p.Pool, o)
		}
		c.minValues(m, p)
		c.others(m, p)
		c.figures(m, p)
	}
}

// poolAllows holds a pool's requirements, or what a node group is made of.
func (c *checker) poolAllows(m *machine, name string, o catalog.Offering) {
	if pool := c.pool(name); pool != nil {
		if key := pool.Requirements.Refusal(c.product(name, o).labels); key != "" {
			c.report(PoolRule, m.name, -1, "pool %s does not allow %s of %s", name, key, offerKey(o))
		}
		return
	}
	group := c.nodeGroup(name)
	switch {
	case group == nil:
		c.report(PoolRule, m.name, -1, "there is no pool or node group %q", name)
	case !slices.Contains(group.Shapes, o.Shape.Name),
		len(group.Zones) > 0 && !slices.Contains(group.Zones, o.Zone),
		group.Spot != (o.Capacity == catalog.Spot):
		c.report(PoolRule, m.name, -1, "node group %s does not hold %s", name, offerKey(o))
	}
}

// minValues holds that enough values stay possible.
func (c *checker) minValues(m *machine, p *nodes.Purchase) {
	pool := c.pool(p.Pool)
	if pool == nil {
		return
	}
	for key, r := range pool.Requirements {
		if r.MinValues == 0 {
			continue
		}
		values := map[string]bool{}
		for _, o := range slices.Concat([]catalog.Offering{p.Offering}, p.Others) {
			if o.Shape != nil {
				values[c.product(p.Pool, o).labels[key]] = true
			}
		}
		if len(values) < r.MinValues {
			c.report(MinValues, m.name, -1, "%d values of %s stay possible, the pool asks for %d", len(values), key, r.MinValues)
		}
	}
}

// others holds that each alternative would hold the same pods, and lies in the
// same domains of all topologies that matter to them.
func (c *checker) others(m *machine, p *nodes.Purchase) {
	for _, o := range p.Others {
		if o.Shape == nil {
			continue // reported already
		}
		made := c.product(p.Pool, o)
		used := made.daemons
		for _, r := range m.pods {
			g := &c.s.Demand[r.group]
			used = used.Plus(g.Requests.Times(int64(r.added)))
			if !allowed(g, made.labels) {
				c.report(Others, m.name, r.group, "%s does not meet the node affinity", offerKey(o))
			}
			for _, key := range c.topologies[r.group] {
				if made.labels[key] != m.labels[key] {
					c.report(Others, m.name, r.group, "%s lies in another domain of %s, which matters to the pods", offerKey(o), key)
				}
			}
		}
		if short := used.Short(made.allocatable); short != "" {
			c.report(Others, m.name, -1, "%s has too little %s", offerKey(o), short)
		}
	}
}

// figures holds that the amounts in a purchase are what they are called.
func (c *checker) figures(m *machine, p *nodes.Purchase) {
	var requests unit.Resources
	for _, r := range m.pods {
		requests = requests.Plus(c.s.Demand[r.group].Requests.Times(int64(r.added)))
	}
	for _, f := range []struct {
		name         string
		stated, true unit.Resources
	}{
		{"Requests", p.Requests, requests},
		{"Daemons", p.Daemons, m.taken},
		{"Allocatable", p.Allocatable, m.allocatable},
	} {
		if !f.stated.Equal(f.true) {
			c.report(Figures, m.name, -1, "%s is stated as %+v, it is %+v", f.name, f.stated, f.true)
		}
	}
}

// fargate holds what is different there: a pod alone, in the smallest size that
// holds it, without host ports.
func (c *checker) fargate(m *machine, p *nodes.Purchase) {
	if len(m.pods) != 1 || m.pods[0].added != 1 || len(p.Others) > 0 {
		c.report(Offer, m.name, -1, "Fargate runs one pod on each node")
		return
	}
	g := &c.s.Demand[m.pods[0].group]
	size, ok := catalog.FargateSize(g.Requests)
	if !ok || size.Memory != p.Offering.Shape.Memory || p.Allocatable.CPU != size.CPU {
		c.report(Offer, m.name, m.pods[0].group, "Fargate has no such size for the pod: %s", p.Offering.Shape.Name)
	}
	if len(g.HostPorts) > 0 {
		c.report(Port, m.name, m.pods[0].group, "Fargate has no host ports")
	}
}
