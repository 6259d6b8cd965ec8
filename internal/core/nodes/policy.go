package nodes

import (
	"time"

	"github.com/tatami-platform/tatami/internal/core/unit"
)

// Policy weighs money against risk. Shares are in percent; 0 turns a rule off.
type Policy struct {
	Name string
	// Restart is how long work is lost when a pod is killed whose group does not
	// say so itself; it prices the interruption of spot machines.
	Restart time.Duration
	// RestartFactor multiplies the price of what is lost in a restart: losing an
	// hour of a service costs more than an hour of its machine.
	RestartFactor int64
	// RespectPreferences narrows choices to what pods prefer, as long as anything
	// is left; otherwise wishes have no price.
	RespectPreferences bool
	// MaxSpotPoolShare bounds how much of the spot capacity comes from one pool
	// (a shape in a zone), so that one withdrawal does not take everything; its
	// inverse is the least number of pools.
	MaxSpotPoolShare int
	// MaxWorkloadShare bounds the share of one workload's pods on one node, from
	// two pods up.
	MaxWorkloadShare int
	// MaxNodeShare bounds the size of a node to a share of the whole demand.
	MaxNodeShare int
	// BalanceZones deals each workload's pods to all zones evenly, even when it
	// does not ask for it.
	BalanceZones bool
	// MovePrice is what moving one pod costs when nodes are consolidated.
	MovePrice unit.NanoUSD
	// PaybackHours is how soon a move must have paid for itself.
	PaybackHours int
}

// Cheapest looks at the price alone.
func Cheapest() Policy {
	return Policy{Name: "cheapest", PaybackHours: 24}
}

// Balanced is the default: a workload survives the loss of any node, the loss of
// a pool of spot machines is an incident, not an outage, and an interruption
// costs as much as a day of the machine.
func Balanced() Policy {
	return Policy{
		Name: "balanced", Restart: 5 * time.Minute, RestartFactor: 288, RespectPreferences: true,
		MaxSpotPoolShare: 25, MaxWorkloadShare: 50, MaxNodeShare: 25,
		MovePrice: unit.USD / 1000, PaybackHours: 12,
	}
}

// Steady pays for calm: small nodes, every workload in every zone, an
// interruption costs as much as ten days of the machine, and moves only what
// saves much.
func Steady() Policy {
	return Policy{
		Name: "steady", Restart: 15 * time.Minute, RestartFactor: 960, RespectPreferences: true,
		MaxSpotPoolShare: 10, MaxWorkloadShare: 34, MaxNodeShare: 10, BalanceZones: true,
		MovePrice: unit.USD / 100, PaybackHours: 4,
	}
}

// Policies are the presets, the default first.
func Policies() []Policy { return []Policy{Balanced(), Cheapest(), Steady()} }

// Effort bounds how long an answer is improved. The zero value improves it
// until nothing more is found.
type Effort struct {
	// Steps bounds the work deterministically; 0 is no bound. One step is about
	// a millisecond on one core of 2024 for 150 groups.
	Steps int
	// Stop, when given, is asked between steps: the caller's deadline. Answers
	// then depend on the machine's speed.
	Stop func() bool
	// Gap ends the search when cost is within this many basis points (0.01 %) of
	// the bound; 0 takes 10.
	Gap int
}
