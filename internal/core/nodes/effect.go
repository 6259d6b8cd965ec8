package nodes

import "github.com/tatami-platform/tatami/internal/core/plan"

// Decider is the name under which this package's actions are known.
const Decider = "nodes"

// Launch buys the nodes of a purchase.
type Launch struct{ Purchase Purchase }

// Verb is "launch".
func (Launch) Verb() string { return "launch" }

// Replace moves the pods of nodes to others, some of them new, and deletes the
// nodes when they are empty.
type Replace struct {
	Nodes []string
	// With are the new nodes; none when others have room.
	With []Purchase
	// Placed are the pods that go onto nodes that exist. Indexes go on beyond the
	// snapshot's nodes through those bought by the steps before.
	Placed []Placed
	// Moved counts the pods that change their place.
	Moved int
}

// Verb is "replace", or "delete" when nothing new is bought.
func (r Replace) Verb() string {
	if len(r.With) == 0 {
		return "delete"
	}
	return "replace"
}

// The codes of reasons to act.
const (
	// PodsPending: pods have no place.
	PodsPending plan.Code = "PodsPending"
	// Cheaper: the same pods cost less elsewhere.
	Cheaper plan.Code = "Cheaper"
	// Empty: no pods run on the node.
	Empty plan.Code = "Empty"
)

// The codes of reasons to keep a node.
const (
	// Unmanaged: the node belongs to no pool.
	Unmanaged plan.Code = "Unmanaged"
	// NotSettled: the node is not initialized, or has changed too lately.
	NotSettled plan.Code = "NotSettled"
	// DoNotDisrupt: the node, or a pod on it, says so.
	DoNotDisrupt plan.Code = "DoNotDisrupt"
	// PodBudgetUsed: a PodDisruptionBudget allows no more pods to go.
	PodBudgetUsed plan.Code = "PodBudgetUsed"
	// PoolBudgetUsed: the pool's disruption budget allows no more nodes to go.
	PoolBudgetUsed plan.Code = "PoolBudgetUsed"
	// WhenEmptyOnly: the pool only lets go of empty nodes.
	WhenEmptyOnly plan.Code = "WhenEmptyOnly"
	// NothingCheaper: its pods would cost as much elsewhere, or more.
	NothingCheaper plan.Code = "NothingCheaper"
	// SavesTooLittle: moving its pods would not pay for itself in time.
	SavesTooLittle plan.Code = "SavesTooLittle"
	// NoPlace: some of its pods could run nowhere else.
	NoPlace plan.Code = "NoPlace"
)
