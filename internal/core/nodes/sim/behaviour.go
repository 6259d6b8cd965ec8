package sim

import (
	"time"

	"github.com/tatami-platform/tatami/internal/core/unit"
)

// Behaviour is how fast a strategy acts. The decision itself is its Place.
type Behaviour struct {
	// React is from a pod without a place to the order of its node, Boot from the
	// order to a node that runs pods.
	React, Boot time.Duration
	// Gap is the least time between two orders.
	Gap time.Duration
	// Remove is how long a node must have been unneeded before it is given up.
	Remove time.Duration
	// Below is the share of requests, in percent, under which a node is unneeded
	// when its pods fit on others; 0 waits until it is empty.
	Below int
	// Repack lets the strategy move pods off nodes whose pods fit on others, and
	// replace its nodes by what it would buy afresh when that saves at least Least
	// percent; MovePrice is what each moved pod must be worth, and Payback the hours
	// in which the saving must cover that.
	Repack    bool
	Least     int
	MovePrice unit.NanoUSD
	Payback   int
	// PerPod strategies buy a machine for each pod.
	PerPod bool
	// Fixed strategies neither buy nor give up.
	Fixed bool
	// Ahead orders for what was needed at this time of the day before, up to
	// Ahead further on. 0 does not look back.
	Ahead time.Duration
	// Headroom is what is bought beyond that for workloads that vary, in percent.
	Headroom int
}

// bootEC2 is from a launch to a node that is Ready: instance, bootstrap, CNI.
// Measurements published for Amazon Linux 2023 and Bottlerocket lie between 30
// and 60 s; every strategy on EC2 is given the same.
const bootEC2 = 45 * time.Second

// Karpenter waits until no pod came for 1 s, at most 10 s (its settings
// batchIdleDuration and batchMaxDuration), and launches without a group in
// between. It looks for a cheaper arrangement each 10 s and waits 15 s before
// it acts (its source, disruption controller).
func Karpenter() Behaviour {
	return Behaviour{React: 10 * time.Second, Boot: bootEC2, Remove: 25 * time.Second, Repack: true}
}

// ClusterAutoscaler scans each 10 s, and an Auto Scaling group takes about 30 s
// to act on a new size. A node is unneeded below 50 % of requests and is given
// up after 10 min (its flags scan-interval, scale-down-utilization-threshold
// and scale-down-unneeded-time).
func ClusterAutoscaler() Behaviour {
	return Behaviour{React: 10*time.Second + 30*time.Second, Boot: bootEC2, Remove: 10 * time.Minute, Below: 50}
}

// Fargate takes about a minute to give a pod its machine, of which the image is
// a part (AWS's workshop on EKS says 30 to 60 s and more).
func Fargate() Behaviour {
	return Behaviour{React: 0, Boot: 60 * time.Second, PerPod: true}
}

// ECS capacity providers see a metric with one value a minute, order through an
// Auto Scaling group, and do not order again until the new machine has warmed
// up: 300 s (instanceWarmupPeriod). Scale-in needs 15 low values in a row.
func ECS() Behaviour {
	return Behaviour{
		React: 60*time.Second + 30*time.Second, Boot: bootEC2, Gap: 300 * time.Second, Remove: 15 * time.Minute,
	}
}

// Tatami reacts as Karpenter does, because nothing faster was measured. What
// differs: it orders for what was needed at this time of the day before, so that
// nodes are up when it is needed again, keeps headroom as the policy says, and
// moves pods only when that pays for itself.
func Tatami(movePrice unit.NanoUSD, paybackHours, headroom int) Behaviour {
	b := Karpenter()
	b.Ahead, b.Headroom = b.React+b.Boot, headroom
	b.MovePrice, b.Payback, b.Least = movePrice, paybackHours, leastSaving
	return b
}

// leastSaving is what it must be worth to Tatami to exchange nodes, in percent
// of what they cost: loads come back, and with them the nodes.
const leastSaving = 5

// Current is a number of nodes that nobody changes.
func Current() Behaviour { return Behaviour{Fixed: true} }
