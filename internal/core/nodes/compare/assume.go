package compare

import (
	"fmt"
	"strconv"
)

// assume says what the figures rest on. The codes are those of the translated
// texts; a test holds that every code has one.
func (r *run) assume() []Statement {
	out := []Statement{
		say("list-prices", "Prices are AWS's list prices in %s, without taxes, Savings Plans, reservations or discounts of your own.", r.Snapshot.Region),
		say("month", "A month has 730 hours; nodes run all of it unless a trace says otherwise."),
		say("fresh", "Every strategy but today's buys all of its nodes anew, for the pods that are wanted now."),
		say("requests", "Pods need what they request. Usage is not looked at, so nothing is right-sized."),
	}
	if r.Arch == AnyArch {
		out = append(out, say("arch-any", "Images run on amd64 and arm64 alike, except where the pods say otherwise."))
	} else {
		out = append(out, say("arch-one", "Images run on %s only, except where the pods say otherwise: manifests do not tell.", r.Arch))
	}
	if r.market.defaultPool {
		out = append(out, say("default-pool", "The input has no NodePool: nodes may be any c, m or r type from the fifth generation on, without bare metal and flex types; accelerated types too where pods ask for accelerators."))
	}
	if r.market.defaultGroups && r.buys(Groups) {
		out = append(out, say("default-groups", "The input has no node groups: Cluster Autoscaler and ECS get m, c and r groups with 2, 4, 8 and 16 cores, and the cheapest type for what is larger."))
	}
	if r.SpotPercent > 0 && r.buys(PoolsSpot) {
		out = append(out,
			say("spot-share", "Up to %s%% of each workload may run on spot capacity; the others are priced on demand, as are Cluster Autoscaler and ECS unless their node groups say spot.", strconv.Itoa(r.SpotPercent)),
			say("spot-price", "Spot prices and interruption rates are averages; either may change any hour. The range shows the cost without any spot discount."),
		)
	}
	if r.buys(PerPod) {
		out = append(out, say("fargate", "Fargate gives each pod a machine of its own, adds 256 MiB and rounds up; DaemonSets do not run there and cost nothing."))
	}
	if len(r.Snapshot.Nodes) > 0 {
		out = append(out, say("today", "Today's nodes are counted as they are, %s of them, at list price.", strconv.Itoa(len(r.Snapshot.Nodes))))
	}
	out = append(out, say("preset", "Tatami weighs money against risk as the preset %s says.", r.Preset))
	if r.Deadline > 0 {
		out = append(out, say("deadline", "The search was stopped by the deadline of %s: a faster machine may find a better answer.", r.Deadline.String()))
	}
	if r.Trace != nil {
		out = append(out,
			say("trace-boot", "Over time: a node on EC2 boots in 45 s after its order, a Fargate pod starts in 60 s; Karpenter and Tatami order after 10 s, Cluster Autoscaler after 40 s, ECS after 90 s and not again for 300 s. Images are not pulled."),
			say("trace-forecast", "Over time: Tatami expects the load of the same time a day before, and knows nothing of the first day. It keeps %s%% more pods' room for workloads that vary, rounded to whole pods; the others keep none.", strconv.Itoa(r.headroom())),
		)
	}
	return out
}

func say(code, format string, args ...string) Statement {
	values := make([]any, len(args))
	for i, a := range args {
		values[i] = a
	}
	return Statement{Code: code, Text: fmt.Sprintf(format, values...), Args: args}
}

func (r *run) headroom() int {
	most := 0
	for _, e := range r.Entries {
		most = max(most, e.Behaviour.Headroom)
	}
	return most
}

func (r *run) buys(m Market) bool {
	for _, e := range r.Entries {
		if e.Buys == m {
			return true
		}
	}
	return false
}

// Uncounted is what no plan counts, whatever the input.
func Uncounted() []NotCovered {
	about := func(code, why string) NotCovered { return NotCovered{Code: code, Why: why} }
	return []NotCovered{
		about("control-plane", "the cluster's control plane, the same for every strategy"),
		about("storage", "volumes and the nodes' own disks"),
		about("network", "load balancers, NAT gateways, public addresses and data transfer"),
		about("commitments", "Savings Plans, reserved instances and private discounts"),
		about("usage", "measured usage: requests are taken as they are"),
	}
}
