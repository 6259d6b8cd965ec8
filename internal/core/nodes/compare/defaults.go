package compare

import (
	"cmp"
	"slices"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/nodes/peer"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// DefaultPools are what may be bought when the input names no NodePool: general,
// compute and memory machines from the fifth generation on, without bare metal
// and without flex types, which give the whole processor only most of the time.
// Demand for accelerators adds a pool of machines that have some.
func DefaultPools(groups []workload.Group) []workload.Pool {
	common := workload.Requirements{
		"karpenter.k8s.aws/instance-hypervisor":      workload.OneOf("nitro"),
		"karpenter.k8s.aws/instance-capability-flex": workload.OneOf("false"),
	}
	general := common.Intersect(workload.Requirements{
		"karpenter.k8s.aws/instance-category": workload.OneOf("c", "m", "r"),
	})
	if newer, err := workload.NewRequirement(workload.Gt, "4"); err == nil {
		general["karpenter.k8s.aws/instance-generation"] = newer
	}
	pools := []workload.Pool{{Name: "default", Weight: 10, Requirements: general}}
	if slices.ContainsFunc(groups, func(g workload.Group) bool { return accelerated(&g) }) {
		pools = append(pools, workload.Pool{Name: "accelerated", Requirements: common.Intersect(workload.Requirements{
			"karpenter.k8s.aws/instance-category": workload.OneOf("dl", "g", "gr", "inf", "p", "trn"),
		})})
	}
	return pools
}

func accelerated(g *workload.Group) bool {
	for _, n := range g.Requests.Extended {
		if n > 0 {
			return true
		}
	}
	return false
}

// defaultGroups are managed node groups as a careful team sets them up, and,
// where a pod needs more than they have, the cheapest type that takes it.
func defaultGroups(offers []catalog.Offering, groups []workload.Group, arch string) []workload.NodeGroup {
	var out []workload.NodeGroup
	var shapes []*catalog.Shape
	add := func(s *catalog.Shape) {
		if s != nil && !slices.Contains(shapes, s) {
			shapes = append(shapes, s)
			out = append(out, workload.NodeGroup{Name: "ng-" + strings.ReplaceAll(s.Name, ".", "-"), Shapes: []string{s.Name}})
		}
	}
	names := []string{}
	for _, g := range peer.DefaultNodeGroups(offers) {
		names = append(names, g.Shapes...)
	}
	if arch == string(catalog.ARM64) {
		for i, n := range names {
			_, size, _ := strings.Cut(n, ".")
			names[i] = n[:1] + "7g." + size
		}
	}
	for _, name := range names {
		add(cheapest(offers, func(s *catalog.Shape) bool { return s.Name == name }))
	}
	for i := range groups {
		holds := func(s *catalog.Shape) bool { return takes(s, &groups[i], arch) }
		if !slices.ContainsFunc(shapes, holds) {
			add(cheapest(offers, holds))
		}
	}
	return out
}

// takes says whether a node of the shape holds a pod of the group beside the
// usual DaemonSets.
func takes(s *catalog.Shape, g *workload.Group, arch string) bool {
	if s.Hypervisor == "" || s.Burstable || arch != AnyArch && string(s.Arch) != arch {
		return false
	}
	if s.GPU.Count+s.Accelerator.Count > 0 && !accelerated(g) {
		return false
	}
	return g.Requests.Fits(s.Allocatable(catalog.Kubelet{}).Minus(unit.Resources{CPU: 500, Memory: unit.GiB, Pods: 4}))
}

func cheapest(offers []catalog.Offering, ok func(*catalog.Shape) bool) *catalog.Shape {
	var fit []catalog.Offering
	for _, o := range offers {
		if o.Capacity == catalog.OnDemand && ok(o.Shape) {
			fit = append(fit, o)
		}
	}
	if len(fit) == 0 {
		return nil
	}
	return slices.MinFunc(fit, func(a, b catalog.Offering) int { return cmp.Compare(a.Price, b.Price) }).Shape
}
