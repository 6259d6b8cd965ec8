package peer

import (
	"fmt"
	"maps"
	"slices"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// NotOnFargate is the code of pods that ask for what Fargate does not have.
const NotOnFargate plan.Code = "NotOnFargate"

// fargatePool is the pool that purchases on Fargate name.
const fargatePool = "fargate"

// Fargate gives each pod without a place a machine of its own, of the smallest
// size that Fargate has, in the zone that has the fewest pods of its group. Prices
// are those of services; nothing is put onto nodes that exist. DaemonSets do not
// run there: what they do has to move into sidecars, which nothing here counts.
func Fargate(s *plan.Snapshot, services catalog.Services) nodes.Fleet {
	f := &fargate{sc: newScheduler(s), services: services, zones: zonesOf(s.Offers), region: s.Region, placed: map[string][]int{}}
	f.sc.joinNodes()
	left := pendingPods(s, nil)
	for _, z := range f.zones {
		f.sc.known(f.labels(z), nil)
		f.placed[z] = make([]int, len(s.Demand))
	}
	var out nodes.Fleet
	for g, n := range left {
		if why := f.refusal(&s.Demand[g]); n > 0 && why != "" {
			out.Pending = append(out.Pending, nodes.Pending{Group: g, Count: n, Code: NotOnFargate, Text: why})
			left[g] = 0
		}
	}
	for progress := true; progress; {
		progress = false
		for _, g := range byPriority(s, left) {
			for left[g] > 0 && f.run(g) {
				left[g]--
				progress = true
			}
		}
	}
	for _, g := range byPriority(s, left) {
		out.Pending = append(out.Pending, pendingOf(g, left[g], nodes.NoDomain, ""))
	}
	out.Purchases = f.purchases()
	return out
}

type fargate struct {
	sc       *scheduler
	services catalog.Services
	region   string
	zones    []string
	placed   map[string][]int // by zone and group
	names    int
}

func zonesOf(offers []catalog.Offering) []string {
	seen := map[string]bool{}
	for _, o := range offers {
		seen[o.Zone] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

func (f *fargate) labels(zone string) map[string]string {
	return map[string]string{
		catalog.LabelRegion: f.region, catalog.LabelZone: zone, catalog.LabelArch: string(catalog.AMD64), catalog.LabelOS: "linux",
		"eks.amazonaws.com/compute-type": "fargate", workload.LabelHostname: "new",
	}
}

// refusal says what a pod asks for that Fargate does not have.
func (f *fargate) refusal(g *workload.Group) string {
	if _, ok := catalog.FargateSize(g.Requests); !ok {
		for name, n := range g.Requests.Extended {
			if n > 0 {
				return "Fargate has no " + name + "."
			}
		}
		return "No size of Fargate is large enough."
	}
	if len(g.HostPorts) > 0 {
		return "Fargate has no host ports."
	}
	if !slices.ContainsFunc(f.zones, func(z string) bool { return admits(g, f.labels(z), nil) }) {
		return "Nodes of Fargate do not have the labels that the pods ask for."
	}
	return ""
}

// run starts one pod; false when no zone may have it.
func (f *fargate) run(group int) bool {
	zones := slices.Clone(f.zones)
	slices.SortStableFunc(zones, func(a, b string) int { return f.placed[a][group] - f.placed[b][group] })
	for _, z := range zones {
		f.names++
		h := &host{labels: named(f.labels(z), fmt.Sprintf("fargate-%d", f.names)), node: -1, free: f.sc.s.Demand[group].Requests}
		f.sc.join(h)
		if f.sc.fits(group, h) {
			f.sc.place(group, 1, h)
			f.placed[z][group]++
			return true
		}
		f.sc.leave()
	}
	return false
}

func (f *fargate) purchases() []nodes.Purchase {
	var out []nodes.Purchase
	shapes := map[string]*catalog.Shape{}
	for g := range f.sc.s.Demand {
		for _, z := range f.zones {
			if f.placed[z][g] == 0 {
				continue
			}
			requests := f.sc.s.Demand[g].Requests
			task, _ := catalog.FargateSize(requests)
			name := fmt.Sprintf("fargate-%s-%s", task.CPU, task.Memory)
			if shapes[name] == nil {
				shapes[name] = &catalog.Shape{
					Name: name, Family: "fargate", Size: fmt.Sprintf("%s-%s", task.CPU, task.Memory), Category: "fargate",
					Arch: catalog.AMD64, VCPU: int(task.CPU+999) / 1000, Memory: task.Memory, Current: true, MaxPods: 1,
				}
			}
			out = append(out, nodes.Purchase{
				Pool:     fargatePool,
				Offering: catalog.Offering{Shape: shapes[name], Region: f.region, Zone: z, Capacity: catalog.Fargate, Price: task.Hourly(f.services)},
				Count:    f.placed[z][g], Pods: []plan.Bound{{Group: g, Count: 1}}, Requests: requests,
				Allocatable: unit.Resources{CPU: task.CPU, Memory: task.Memory - fargateOverhead, Disk: task.Disk, Pods: 1},
			})
		}
	}
	return out
}

// fargateOverhead is the memory that EKS keeps for itself beside each pod.
const fargateOverhead = 256 * unit.MiB
