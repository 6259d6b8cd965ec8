package balance

import (
	"math/bits"
	"sort"
	"sync/atomic"

	"github.com/tatami-platform/tatami/internal/core/connect"
)

// member is a host as one Set sees it.
type member struct {
	host *Host
	// inverse is 1/weight.
	inverse float64
	weight  uint64
	local   bool
	drain   bool
}

// group is a number of members that are chosen among. It is immutable but for the
// turn of round robin.
type group struct {
	members []member
	// upTo holds the sums of the weights up to and with each member; nil when all
	// weights are equal.
	upTo  []uint64
	total uint64
	turn  *atomic.Uint64
}

func newGroup(members []member, turn *atomic.Uint64) group {
	g := group{members: members, turn: turn}
	equal := true
	for i := range members {
		g.total += members[i].weight
		equal = equal && members[i].weight == members[0].weight
	}
	if equal {
		return g
	}
	g.upTo = make([]uint64, len(members))
	sum := uint64(0)
	for i := range members {
		sum += members[i].weight
		g.upTo[i] = sum
	}
	return g
}

// at maps a number that is spread over all of uint64 to a member, by weight.
func (g *group) at(x uint64) int {
	if g.upTo == nil {
		i, _ := bits.Mul64(x, uint64(len(g.members)))
		return int(i)
	}
	target, _ := bits.Mul64(x, g.total)
	return g.find(target)
}

func (g *group) find(target uint64) int {
	return sort.Search(len(g.upTo), func(i int) bool { return g.upTo[i] > target })
}

// two draws two different members by weight. There must be two.
func (g *group) two(random uint64) (int, int) {
	if g.upTo == nil {
		n := uint64(len(g.members))
		i := random >> 32 * n >> 32
		j := uint64(uint32(random)) * (n - 1) >> 32
		if j >= i {
			j++
		}
		return int(i), int(j)
	}
	i := g.at(random)
	w := g.members[i].weight
	target, _ := bits.Mul64(mix(random), g.total-w)
	if target >= g.upTo[i]-w {
		target += w // leave out the part of the first one
	}
	return i, g.find(target)
}

// pick chooses by policy; nil when what it came upon was tried before.
func (g *group) pick(policy connect.Policy, now int64, c *Choice) *Host {
	if len(g.members) == 0 {
		return nil
	}
	switch policy {
	case connect.PolicyRoundRobin:
		return g.next(c)
	case connect.PolicyEWMA, connect.PolicyLeastRequest:
		return g.better(policy, now, c)
	default:
		return g.any(c)
	}
}

// next is round robin. With weights, the turn is multiplied by the golden ratio,
// modulo 1, and mapped to a member by weight: in any row of turns each gets its
// share up to one or two, evenly spread, whatever the weights are. The usual
// smooth algorithm changes a counter of every host at every turn, which loops
// cannot share without a lock.
func (g *group) next(c *Choice) *Host {
	for range len(c.Tried) + 2 {
		n := g.turn.Add(1) - 1
		i := 0
		if g.upTo == nil {
			i = int(n % uint64(len(g.members)))
		} else {
			i = g.at(n * golden)
		}
		if h := g.members[i].host; !c.tried(h) {
			return h
		}
	}
	return nil
}

// better draws two and takes the one with less to do.
func (g *group) better(policy connect.Policy, now int64, c *Choice) *Host {
	if len(g.members) == 1 {
		return c.untried(g.members[0].host)
	}
	i, j := g.two(c.Random)
	a, b := &g.members[i], &g.members[j]
	if len(c.Tried) > 0 {
		switch {
		case c.tried(a.host):
			return c.untried(b.host)
		case c.tried(b.host):
			return a.host
		}
	}
	var x, y float64
	if policy == connect.PolicyEWMA {
		x, y = a.host.cost(now)*a.inverse, b.host.cost(now)*b.inverse
	} else {
		x = float64(a.host.Outstanding()+1) * a.inverse
		y = float64(b.host.Outstanding()+1) * b.inverse
	}
	if y < x {
		return b.host
	}
	return a.host
}

func (g *group) any(c *Choice) *Host {
	x := c.Random
	for range len(c.Tried) + 1 {
		if h := g.members[g.at(x)].host; !c.tried(h) {
			return h
		}
		x = mix(x)
	}
	return nil
}

// scan finds any that was not tried, from a random place on.
func (g *group) scan(c *Choice) *Host {
	if len(g.members) == 0 {
		return nil
	}
	start := g.at(mix(c.Random))
	for i := range g.members {
		if h := g.members[(start+i)%len(g.members)].host; !c.tried(h) {
			return h
		}
	}
	return nil
}
