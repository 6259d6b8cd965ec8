package peer

import (
	"math"

	"github.com/tatami-platform/tatami/internal/core/unit"
)

// Expander is how Cluster Autoscaler picks among node groups.
type Expander string

// The expanders. Among options that are equal one is drawn.
const (
	// LeastWaste wastes the smallest share of processor and memory.
	LeastWaste Expander = "least-waste"
	// MostPods places the most pods.
	MostPods Expander = "most-pods"
	// Price has the best ratio of the price of nodes to that of pods, with a
	// malus for odd sizes. Cluster Autoscaler knows no prices on AWS, so this is
	// what it would do if it did.
	Price Expander = "price"
	// Priority takes the group with the highest priority.
	Priority Expander = "priority"
	// Random draws.
	Random Expander = "random"
)

// pick chooses an option.
func (a *autoscaler) pick(options []option) option {
	var best []option
	least := math.Inf(1)
	for _, o := range options {
		switch score := a.score(o); {
		case score < least:
			least, best = score, []option{o}
		case score == least:
			best = append(best, o)
		}
	}
	return best[a.rng.IntN(len(best))]
}

// score is lower for better options.
func (a *autoscaler) score(o option) float64 {
	switch a.set.Expander {
	case LeastWaste:
		return a.waste(o)
	case MostPods:
		return -float64(total(o.pods))
	case Price:
		return a.priceScore(o)
	case Priority:
		return -float64(o.group.Priority)
	case Random:
	}
	return 0
}

func total(pods []int) int {
	n := 0
	for _, p := range pods {
		n += p
	}
	return n
}

func (a *autoscaler) requests(o option) (sum unit.Resources) {
	for g, n := range o.pods {
		if n > 0 {
			sum = sum.Plus(a.sc.s.Demand[g].Requests.Times(int64(n)))
		}
	}
	return sum
}

// waste is the unused share of the processor plus that of the memory. It is of
// the machines' capacity, not of what is allocatable.
func (a *autoscaler) waste(o option) float64 {
	used, n := a.requests(o), float64(len(o.hosts))
	cpu, memory := n*float64(o.group.capacity.CPU), n*float64(o.group.capacity.Memory)
	return (cpu-float64(used.CPU))/cpu + (memory-float64(used.Memory))/memory
}

// What the price expander takes a core and a GiB to cost in an hour, and the
// pod that it adds to both sides so that tiny pods do not decide.
const (
	corePrice, gibPrice = 0.033174, 0.004446
	steadyCPU           = 500
	steadyMemory        = 500 * unit.MiB
)

// priceScore is the ratio of prices times how unfit the size is for the cluster.
func (a *autoscaler) priceScore(o option) float64 {
	price := func(cpu unit.MilliCPU, memory unit.Bytes) float64 {
		return float64(cpu)/1000*corePrice + float64(memory)/float64(unit.GiB)*gibPrice
	}
	n, used := float64(len(o.hosts)), a.requests(o)
	steady := price(steadyCPU, steadyMemory)
	ratio := (o.group.offering.Price.Dollars()*n + steady) / (price(used.CPU, used.Memory) + steady)
	fit := float64(preferredCPU(len(a.sc.hosts))) / float64(o.group.capacity.CPU)
	unfit := max(fit, 1/fit)
	return ratio * ((unfit-1)*(1-math.Tanh((n-1)/15)) + 1)
}

// preferredCPU doubles each time a cluster has grown threefold.
func preferredCPU(nodes int) unit.MilliCPU {
	switch {
	case nodes <= 2:
		return 1000
	case nodes <= 6:
		return 2000
	case nodes <= 20:
		return 4000
	case nodes <= 60:
		return 8000
	case nodes <= 200:
		return 16000
	}
	return 32000
}
