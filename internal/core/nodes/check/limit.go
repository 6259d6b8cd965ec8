package check

import (
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// poolLimits holds the sums over a pool's nodes. Nodes that exist count; alone
// they may exceed a limit.
func (c *checker) poolLimits() {
	for i := range c.s.Pools {
		pool := &c.s.Pools[i]
		if pool.Limits == nil {
			continue
		}
		sum, bought := c.capacityOf(pool.Name)
		for _, name := range append([]string{"cpu", "memory", "ephemeral-storage", "pods"}, keys(pool.Limits.Extended)...) {
			limit := pool.Limits.Get(name)
			if bought && limit > 0 && sum.Get(name) > limit {
				c.report(PoolLimit, pool.Name, -1, "%s: the nodes have %d, the limit is %d", name, sum.Get(name), limit)
			}
		}
	}
}

// groupLimits holds the maximum of node groups; 0 is none.
func (c *checker) groupLimits() {
	for i := range c.s.NodeGroups {
		group := &c.s.NodeGroups[i]
		n, bought := c.nodesOf(group)
		if bought && group.Max > 0 && n > group.Max {
			c.report(PoolLimit, group.Name, -1, "%d nodes, the maximum is %d", n, group.Max)
		}
	}
}

func (c *checker) nodesOf(group *workload.NodeGroup) (n int, bought bool) {
	for i := range c.machines {
		if m := &c.machines[i]; m.pool == group.Name {
			n += m.copies
			bought = bought || m.purchase
		}
	}
	return n, bought
}

// offerLimits holds how many of an offering can be had.
func (c *checker) offerLimits() {
	limit, bought := map[string]int{}, map[string]int{}
	for _, o := range c.s.Offers {
		limit[offerKey(o)] = o.Limit
	}
	for i, p := range c.f.Purchases {
		key := offerKey(p.Offering)
		bought[key] += p.Count
		if limit[key] > 0 && bought[key] > limit[key] {
			c.report(Offer, purchaseName(i), -1, "%d of %s are bought, there are %d", bought[key], key, limit[key])
		}
	}
}
