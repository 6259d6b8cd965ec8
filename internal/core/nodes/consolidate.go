package nodes

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// Consolidate looks for nodes whose pods cost less elsewhere. The actions are
// steps in the order in which they should be done, each of which pays for itself
// within the policy's time and keeps to all budgets, and then one for every node
// that stays, with the reason.
//
// A step takes one node, or several at once where that finds what single ones do
// not: any number of nodes for any other. Pods without a place are not its
// matter. O(nodes × solve); one step of effort is one node looked at.
func Consolidate(s *plan.Snapshot, p Policy, e Effort) []plan.Action {
	c := newConsolidation(s, p, e)
	c.screen()
	c.singles()
	c.several()
	for n := range s.Nodes {
		if !c.gone[n] {
			c.actions = append(c.actions, c.keep(n))
		}
	}
	return c.actions
}

// budgetKey is a pool and a reason to disrupt its nodes, as Karpenter names it.
type budgetKey struct{ pool, reason string }

const (
	reasonEmpty         = "Empty"
	reasonUnderutilized = "Underutilized"
)

// consolidation is the state of one run: the snapshot as it will be after the
// steps so far, and why each node stays.
type consolidation struct {
	now        *plan.Snapshot // as it is
	then       plan.Snapshot  // after the steps
	p          Policy
	e          Effort
	candidates []Candidate
	pools      map[string]*workload.Pool
	gone       []bool
	touched    []bool // got pods in an earlier step
	why        []plan.Reason
	eligible   []int
	budget     map[budgetKey]int // nodes that may still go
	tried      map[string]bool   // sets that did not pay
	looked     int
	actions    []plan.Action
}

func newConsolidation(s *plan.Snapshot, p Policy, e Effort) *consolidation {
	c := &consolidation{
		now: s, then: *s, p: p, e: e, pools: map[string]*workload.Pool{}, budget: map[budgetKey]int{}, tried: map[string]bool{},
		gone: make([]bool, len(s.Nodes)), touched: make([]bool, len(s.Nodes)), why: make([]plan.Reason, len(s.Nodes)),
	}
	c.then.Nodes = slices.Clone(s.Nodes)
	for i := range s.Pools {
		pool := &s.Pools[i]
		c.pools[pool.Name] = pool
		for _, reason := range []string{reasonEmpty, reasonUnderutilized} {
			c.budget[budgetKey{pool.Name, reason}] = budgetOf(s, pool, reason)
		}
	}
	c.onlyBound()
	c.candidates = purchasable(s, p)
	return c
}

// onlyBound takes pods without a place, and those of nodes that are leaving, out
// of the demand: they are provisioned for elsewhere.
func (c *consolidation) onlyBound() {
	c.then.Demand = slices.Clone(c.now.Demand)
	for g := range c.then.Demand {
		c.then.Demand[g].Count = 0
	}
	for n := range c.then.Nodes {
		node := &c.then.Nodes[n]
		node.Pods = slices.DeleteFunc(slices.Clone(node.Pods), func(b plan.Bound) bool {
			return b.Group < 0 || b.Group >= len(c.then.Demand) || b.Count <= 0
		})
		for _, b := range node.Pods {
			if !node.Leaving {
				c.then.Demand[b.Group].Count += b.Count
			}
		}
	}
}

// budgetOf is how many nodes of a pool may go now for a reason: the smallest of
// its active budgets, less those that are on their way out already; 10 % without
// any.
func budgetOf(s *plan.Snapshot, pool *workload.Pool, reason string) int {
	size, leaving := 0, 0
	for i := range s.Nodes {
		if s.Nodes[i].Pool == pool.Name {
			size++
			if s.Nodes[i].Leaving {
				leaving++
			}
		}
	}
	budgets := pool.Disruption.Budgets
	if len(budgets) == 0 {
		budgets = []workload.Budget{{Percent: 10, Active: true}}
	}
	allowed := size
	for _, b := range budgets {
		if !b.Active || len(b.Reasons) > 0 && !slices.Contains(b.Reasons, reason) {
			continue
		}
		n := b.Nodes
		if b.Percent >= 0 {
			n = (size*b.Percent + 99) / 100
		}
		allowed = min(allowed, n)
	}
	return max(0, allowed-leaving)
}

// screen finds the nodes that may go, cheapest to disrupt first for what they
// cost, and says of the others why not.
func (c *consolidation) screen() {
	for n := range c.now.Nodes {
		if code, text := c.holds(n); code != "" {
			c.why[n] = plan.Reason{Code: code, Text: text}
			continue
		}
		c.eligible = append(c.eligible, n)
	}
	slices.SortStableFunc(c.eligible, func(a, b int) int {
		x, y := &c.then.Nodes[a], &c.then.Nodes[b]
		// Pods moved for each dollar: a·py < b·px without division.
		return cmp.Compare(int64(podsOn(x)+1)*int64(y.Offering.Price/1000+1), int64(podsOn(y)+1)*int64(x.Offering.Price/1000+1))
	})
}

func podsOn(n *plan.Node) int {
	sum := 0
	for _, b := range n.Pods {
		sum += b.Count
	}
	return sum
}

// holds says what keeps a node from being disrupted at all.
func (c *consolidation) holds(n int) (plan.Code, string) {
	node := &c.then.Nodes[n]
	pool := c.pools[node.Pool]
	switch {
	case pool == nil:
		return Unmanaged, "it belongs to no node pool that the platform manages"
	case node.Leaving:
		return NotSettled, "it is being deleted already"
	case !node.Initialized:
		return NotSettled, "it is still starting"
	case pool.Disruption.After < 0:
		return NotSettled, "pool " + pool.Name + " never consolidates (consolidateAfter)"
	case c.now.Now.Sub(node.Changed) < pool.Disruption.After:
		return NotSettled, fmt.Sprintf("its pods changed %s ago, and pool %s waits %s", c.now.Now.Sub(node.Changed), pool.Name, pool.Disruption.After)
	case node.DoNotDisrupt:
		return DoNotDisrupt, "it is annotated karpenter.sh/do-not-disrupt"
	case pool.Disruption.WhenEmptyOnly && podsOn(node) > 0:
		return WhenEmptyOnly, "pool " + pool.Name + " consolidates empty nodes only"
	}
	for _, b := range node.Pods {
		if c.now.Demand[b.Group].DoNotDisrupt {
			return DoNotDisrupt, "a pod of " + c.now.Demand[b.Group].Owner.String() + " is annotated karpenter.sh/do-not-disrupt"
		}
	}
	return c.blocked([]int{n})
}

// blocked says which disruption budget the pods of some nodes would break.
func (c *consolidation) blocked(set []int) (plan.Code, string) {
	for _, pdb := range c.now.PodBudgets {
		hit := 0
		for _, n := range set {
			for _, b := range c.then.Nodes[n].Pods {
				g := &c.now.Demand[b.Group]
				if g.Owner.Namespace == pdb.Ref.Namespace && pdb.Selector.Matches(g.Labels) {
					hit += b.Count
				}
			}
		}
		// Draining asks the eviction API pod by pod and waits while the budget is
		// used up, so a node may go as long as one pod at a time may.
		if hit > 0 && pdb.Allowed <= 0 {
			return PodBudgetUsed, "PodDisruptionBudget " + pdb.Ref.Namespace + "/" + pdb.Ref.Name + " allows no disruption now"
		}
	}
	return "", ""
}

// singles tries each node by itself.
func (c *consolidation) singles() {
	for _, n := range slices.Clone(c.eligible) {
		if c.open(n) {
			c.try([]int{n})
		}
	}
}

// open says whether a node may still be looked at: what an earlier step gave
// pods to has changed too lately.
func (c *consolidation) open(n int) bool { return !c.gone[n] && !c.touched[n] }

// several tries sets of nodes: together they may fit on fewer or other nodes
// where none of them could be replaced alone. Sets are neighbours in the order
// of what they waste, and become smaller while nothing is found.
func (c *consolidation) several() {
	for size := maxSet; size >= 2; {
		left := slices.DeleteFunc(slices.Clone(c.eligible), func(n int) bool { return !c.open(n) })
		if size > len(left) {
			size = len(left)
			if size < 2 {
				return
			}
		}
		slices.SortStableFunc(left, func(a, b int) int { return cmp.Compare(c.usage(a), c.usage(b)) })
		found := false
		for at := 0; at+size <= len(left) && !found; at += max(1, size/2) {
			found = c.try(left[at : at+size])
		}
		if !found {
			size /= 2
		}
	}
}

// maxSet is how many nodes are replaced in one step at most.
const maxSet = 32

// usage is how full a node is, in parts of a thousand of what it has most of.
func (c *consolidation) usage(n int) int64 {
	node := &c.then.Nodes[n]
	used := node.Reserved
	for _, b := range node.Pods {
		used = used.Plus(c.then.Demand[b.Group].Requests.Times(int64(b.Count)))
	}
	return max(permille(int64(used.CPU), int64(node.Allocatable.CPU)), permille(int64(used.Memory), int64(node.Allocatable.Memory)))
}

func permille(a, b int64) int64 {
	if b == 0 {
		return 0
	}
	return int64(unit.NanoUSD(a).MulDiv(1000, b))
}

// try finds out what the pods of some nodes cost elsewhere and takes the step if
// it pays. Otherwise it notes why not, for single nodes.
func (c *consolidation) try(set []int) bool {
	key := fmt.Sprint(set)
	if c.tried[key] || c.spent(len(set)) || !c.affordable(set) {
		return false
	}
	step, saves, pays := c.evaluate(set)
	if c.tried[key] = true; !pays {
		return false
	}
	names := strings.Join(step.Nodes, ", ")
	reason := plan.Reason{
		Code: Cheaper, Hourly: -saves,
		Text: fmt.Sprintf("%s: %d pods move and $%s per hour is saved", names, step.Moved, saves.String()),
	}
	if step.Moved == 0 {
		reason.Code, reason.Text = Empty, names+" runs no pods"
	}
	c.apply(set, step)
	c.actions = append(c.actions, plan.Action{
		Decider: Decider, Effect: *step, Reason: reason,
		Target: workload.Ref{Kind: "Node", Name: step.Nodes[0]}, Needs: c.needs(),
	})
	return true
}

// spent counts nodes looked at, and says whether that was enough.
func (c *consolidation) spent(nodes int) bool {
	if c.e.Steps > 0 && c.looked >= c.e.Steps || c.e.Stop != nil && c.e.Stop() {
		return true
	}
	c.looked += nodes
	return false
}

// needs makes steps follow each other: each counts on what the last one left.
func (c *consolidation) needs() []int {
	if len(c.actions) == 0 {
		return nil
	}
	return []int{len(c.actions) - 1}
}

// affordable says whether the pools' budgets and the pods' let a set go.
func (c *consolidation) affordable(set []int) bool {
	count := map[budgetKey]int{}
	for _, n := range set {
		pool := c.then.Nodes[n].Pool
		key := budgetKey{pool, reasonUnderutilized}
		if podsOn(&c.then.Nodes[n]) == 0 {
			key.reason = reasonEmpty
		}
		if count[key]++; count[key] > c.budget[key] {
			for _, n := range set {
				if c.why[n].Code == "" {
					c.why[n] = plan.Reason{Code: PoolBudgetUsed, Text: "the disruption budget of pool " + pool + " lets no more nodes go now"}
				}
			}
			return false
		}
	}
	code, _ := c.blocked(set)
	return code == ""
}

// evaluate solves the snapshot without the set. It returns the step, what it
// saves per hour, and whether that pays: with the risk in the prices, for the
// moves, and with a place for every pod.
func (c *consolidation) evaluate(set []int) (*Replace, unit.NanoUSD, bool) {
	s := c.then
	s.Nodes = slices.Clone(c.then.Nodes)
	step := &Replace{}
	var price, effective unit.NanoUSD
	for _, n := range set {
		s.Nodes[n].Leaving = true
		price = price.Plus(s.Nodes[n].Offering.Price)
		effective = effective.Plus(c.p.EffectivePrice(s.Nodes[n].Offering))
		step.Nodes = append(step.Nodes, s.Nodes[n].Name)
		step.Moved += podsOn(&s.Nodes[n])
	}
	cheaper := make([]Candidate, 0, len(c.candidates))
	for _, cand := range c.candidates {
		if c.p.EffectivePrice(cand.Offering) < effective {
			cheaper = append(cheaper, cand)
		}
	}
	f := complete(&s, c.p, Effort{Steps: 1 + len(set)*4, Stop: c.e.Stop}, cheaper)
	step.With, step.Placed = f.Purchases, f.Placed
	gross := price.Plus(-f.Hourly())
	for _, buy := range f.Purchases {
		effective = effective.Plus(-c.p.EffectivePrice(buy.Offering).Times(int64(buy.Count)))
	}
	moves := c.p.MovePrice.Times(int64(step.Moved)).MulDiv(1, int64(max(1, c.p.PaybackHours)))
	if len(set) == 1 {
		c.explain(set[0], step, f, gross, moves)
	}
	return step, gross, len(f.Pending) == 0 && min(gross, effective) > moves
}

// explain notes why a single node is kept, if it is.
func (c *consolidation) explain(n int, step *Replace, f Fleet, gross, moves unit.NanoUSD) {
	with := "nodes that exist"
	if len(step.With) > 0 {
		with = fmt.Sprintf("%d × %s", step.With[0].Count, step.With[0].Offering.Shape.Name)
		if more := f.Nodes() - step.With[0].Count; more > 0 {
			with += fmt.Sprintf(" and %d others", more)
		}
	}
	alternative := plan.Alternative{What: "move its pods to " + with, Hourly: moves.Plus(-gross)}
	r := plan.Reason{Code: NothingCheaper, Text: "its pods would cost as much elsewhere, or more"}
	switch {
	case len(f.Pending) > 0:
		r.Code, r.Text = NoPlace, "pods of "+c.now.Demand[f.Pending[0].Group].Owner.String()+" could run nowhere else for less: "+f.Pending[0].Text
		alternative.Code, alternative.Why = NoPlace, f.Pending[0].Text
	case gross > 0:
		r.Code = SavesTooLittle
		r.Text = fmt.Sprintf("moving %d pods would save $%s per hour, less than what the moves cost over %d hours", step.Moved, gross.String(), c.p.PaybackHours)
		alternative.Code, alternative.Why = SavesTooLittle, "the moves cost more than they save"
	default:
		alternative.Code, alternative.Why = NothingCheaper, "it is not cheaper"
	}
	r.Rejected = []plan.Alternative{alternative}
	c.why[n] = r
}

// apply makes the snapshot what it is after a step.
func (c *consolidation) apply(set []int, step *Replace) {
	for _, n := range set {
		c.gone[n] = true
		c.then.Nodes[n].Leaving = true
		c.then.Nodes[n].Pods = nil
		c.budget[budgetKey{c.then.Nodes[n].Pool, reasonEmpty}]--
		c.budget[budgetKey{c.then.Nodes[n].Pool, reasonUnderutilized}]--
	}
	for _, placed := range step.Placed {
		node := &c.then.Nodes[placed.Node]
		node.Pods = slices.Concat(node.Pods, placed.Pods)
		if placed.Node < len(c.touched) {
			c.touched[placed.Node] = true
		}
	}
	for _, p := range step.With {
		for range p.Count {
			c.then.Nodes = append(c.then.Nodes, p.node(fmt.Sprintf("planned-%d", len(c.then.Nodes)), c.pools[p.Pool]))
		}
	}
}

// node is a purchase as it will be when it has started.
func (p Purchase) node(name string, pool *workload.Pool) plan.Node {
	return plan.Node{
		Name: name, Pool: p.Pool, Offering: p.Offering, Labels: p.Labels, Taints: pool.Taints,
		Allocatable: p.Allocatable, Reserved: p.Daemons, Pods: p.Pods,
	}
}

// keep is the action of leaving a node alone.
func (c *consolidation) keep(n int) plan.Action {
	r := c.why[n]
	if c.touched[n] {
		r = plan.Reason{Code: NotSettled, Text: "it gets pods of nodes that go"}
	}
	if r.Code == "" {
		r = plan.Reason{Code: NothingCheaper, Text: "no cheaper place for its pods was found"}
	}
	return plan.Action{Decider: Decider, Effect: plan.Keep{}, Target: workload.Ref{Kind: "Node", Name: c.now.Nodes[n].Name}, Reason: r}
}
