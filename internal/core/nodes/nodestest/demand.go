package nodestest

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// Namespace of all pods made here.
const Namespace = "shop"

// Snapshot is demand in an empty cluster that may buy from a market.
func Snapshot(groups []workload.Group, m Market) *plan.Snapshot {
	return &plan.Snapshot{
		Region: "us-east-1", Demand: groups,
		Pools: []workload.Pool{Pool(m)}, Offers: Offers(m),
	}
}

// Daemons are a log shipper and a network plugin, as most clusters have them.
func Daemons() []workload.Group {
	return []workload.Group{
		daemon("logs", 100, 128),
		daemon("network", 50, 64),
	}
}

func daemon(name string, millis unit.MilliCPU, mib unit.Bytes) workload.Group {
	g := group(name, 0, millis, mib*unit.MiB)
	g.Owner.Kind = "DaemonSet"
	g.Tolerations = []workload.Toleration{{Exists: true}}
	return g
}

// Bench is the demand of Karpenter's benchmark without constraints: 30 shapes,
// of 5 amounts of processor and 6 of memory, each pod drawn at random.
func Bench(pods int, seed uint64) []workload.Group {
	r := rand.New(rand.NewPCG(seed, 1))
	counts := [5][6]int{}
	for range pods {
		counts[r.IntN(5)][r.IntN(6)]++
	}
	var groups []workload.Group
	for c, row := range counts {
		for m, n := range row {
			if n > 0 {
				groups = append(groups, group(fmt.Sprintf("bench-%d-%d", c, m), n, benchCPU(c), benchMemory(m)))
			}
		}
	}
	return groups
}

func benchCPU(i int) unit.MilliCPU { return [...]unit.MilliCPU{100, 250, 500, 1000, 1500}[i] }

func benchMemory(i int) unit.Bytes {
	return [...]unit.Bytes{100, 256, 512, 1024, 2048, 4096}[i] * unit.MiB
}

// Microservices are small services of very different popularity: processor and
// memory are log-normal around 200m and 400 MiB, rounded as people write them,
// and the number of replicas follows Zipf's law.
func Microservices(pods, shapes int, seed uint64) []workload.Group {
	r := rand.New(rand.NewPCG(seed, 2))
	weights := make([]int64, shapes)
	for i := range weights {
		weights[i] = int64(1e6 / math.Pow(float64(i+3), 0.8))
	}
	groups := make([]workload.Group, 0, shapes)
	for i, n := range unit.Split(unit.NanoUSD(pods), weights) {
		cpu := rounded(200*math.Exp(0.9*r.NormFloat64()), 10, 25, 8000)
		memory := rounded(400*math.Exp(0.9*r.NormFloat64()), 32, 32, 16384)
		if n > 0 {
			groups = append(groups, group(fmt.Sprintf("service-%03d", i), int(n), unit.MilliCPU(cpu), unit.Bytes(memory)*unit.MiB))
		}
	}
	return groups
}

// BigPods are databases, caches and batch workers of 1 to 14 cores.
func BigPods(pods, shapes int, seed uint64) []workload.Group {
	r := rand.New(rand.NewPCG(seed, 3))
	groups := make([]workload.Group, shapes)
	for i := range groups {
		cpu := 500 * (2 + r.IntN(27))
		perCore := []int{1, 2, 4, 6, 7}[r.IntN(5)]
		memory := max(cpu*perCore/1000, 1)
		groups[i] = group(fmt.Sprintf("big-%02d", i), 0, unit.MilliCPU(cpu), unit.Bytes(memory)*unit.GiB)
	}
	for range pods {
		groups[r.IntN(shapes)].Count++
	}
	kept := groups[:0]
	for _, g := range groups {
		if g.Count > 0 {
			kept = append(kept, g)
		}
	}
	return kept
}

func rounded(x float64, step, low, high int) int {
	return min(max(int(x)/step*step, low), high)
}

func group(name string, n int, cpu unit.MilliCPU, memory unit.Bytes) workload.Group {
	return workload.Group{
		Owner:    workload.Ref{Kind: "Deployment", Namespace: Namespace, Name: name},
		Labels:   map[string]string{"app": name},
		Count:    n,
		Requests: unit.Resources{CPU: cpu, Memory: memory, Pods: 1},
	}
}
