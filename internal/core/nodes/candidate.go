package nodes

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// Candidate is a node that could be bought: an offering in a pool.
type Candidate struct {
	Pool     *workload.Pool
	Offering catalog.Offering
	// Labels that the node would have; shared by the candidates of a shape only
	// as long as nobody writes to them.
	Labels map[string]string
	// Allocatable is what the kubelet leaves, Daemons what DaemonSets take of it.
	Allocatable, Daemons unit.Resources
}

// Free is what is left for pods of the demand.
func (c *Candidate) Free() unit.Resources { return c.Allocatable.Minus(c.Daemons) }

// Candidates lists what can be bought: each offering in each pool whose
// requirements it meets, with the overhead of the DaemonSets that would run
// there. Offerings that cannot even hold those are left out. The order is that
// of pools by weight, heaviest first and then by name, then of the offers.
func Candidates(s *plan.Snapshot) []Candidate {
	var out []Candidate
	shapes := map[*catalog.Shape]shapeOnce{}
	for i := range s.Offers {
		if shape := s.Offers[i].Shape; shape != nil && shapes[shape].labels == nil {
			shapes[shape] = shapeOnce{shape.Labels(), shape.Allocatable(s.Kubelet)}
		}
	}
	for _, pool := range poolsByWeight(s) {
		variants := poolLabels(pool)
		for _, o := range s.Offers {
			once, known := shapes[o.Shape]
			if !known || refusedByShape(pool, once.labels) {
				continue // most are, and building labels for each takes longest
			}
			for _, fixed := range variants {
				c := Candidate{Pool: pool, Offering: o, Labels: o.Labels(), Allocatable: once.allocatable}
				maps.Copy(c.Labels, fixed)
				if pool.Requirements.Allow(c.Labels) && c.addDaemons(s) {
					out = append(out, c)
				}
			}
		}
	}
	return out
}

// shapeOnce is what all offerings of a shape have in common.
type shapeOnce struct {
	labels      map[string]string
	allocatable unit.Resources
}

// refusedByShape says whether a pool refuses a shape in any zone and any way to
// buy it.
func refusedByShape(p *workload.Pool, labels map[string]string) bool {
	for key, r := range p.Requirements {
		if value, ok := labels[key]; ok && !r.Has(value) {
			return true
		}
	}
	return false
}

// addDaemons sums what DaemonSets take of the node; false when they do not fit.
func (c *Candidate) addDaemons(s *plan.Snapshot) bool {
	for g := range s.Daemons {
		if d := &s.Daemons[g]; Refusal(d, c.Labels, c.Pool.Taints) == "" {
			c.Daemons = c.Daemons.Plus(d.Requests)
		}
	}
	return c.Daemons.Fits(c.Allocatable)
}

func poolsByWeight(s *plan.Snapshot) []*workload.Pool {
	pools := make([]*workload.Pool, len(s.Pools))
	for i := range s.Pools {
		pools[i] = &s.Pools[i]
	}
	slices.SortStableFunc(pools, func(a, b *workload.Pool) int {
		if a.Weight != b.Weight {
			return b.Weight - a.Weight
		}
		return cmp.Compare(a.Name, b.Name)
	})
	return pools
}

// poolLabels are the labels that nodes of the pool can have besides those of the
// machine: the pool's labels, its name, and one value of each requirement about
// a label that the machine does not bring. Where such a requirement leaves
// several values there is a variant for each, up to maxVariants.
func poolLabels(p *workload.Pool) []map[string]string {
	base := map[string]string{}
	maps.Copy(base, p.Labels)
	maps.DeleteFunc(base, func(key, _ string) bool { return intrinsic(key) })
	base[catalog.LabelPool] = p.Name
	out := []map[string]string{base}
	for _, key := range slices.Sorted(maps.Keys(p.Requirements)) {
		values, finite := p.Requirements[key].Values()
		if _, set := base[key]; set || !finite || intrinsic(key) {
			continue
		}
		values = values[:min(len(values), max(1, maxVariants/len(out)))]
		var next []map[string]string
		for _, labels := range out {
			for _, v := range values {
				variant := maps.Clone(labels)
				variant[key] = v
				next = append(next, variant)
			}
		}
		if len(next) > 0 {
			out = next
		}
	}
	return out
}

// LabelsIn are those of a node of an offering in a pool; where the pool leaves
// several values of a label, the first. The caller owns the map.
func LabelsIn(p *workload.Pool, o catalog.Offering) map[string]string {
	labels := o.Labels()
	maps.Copy(labels, poolLabels(p)[0])
	return labels
}

// maxVariants bounds the kinds of nodes of one pool that differ in labels only.
const maxVariants = 16

// intrinsic says whether a label says what the machine is: no pool can set it.
func intrinsic(key string) bool {
	switch key {
	case catalog.LabelShape, catalog.LabelArch, catalog.LabelOS, catalog.LabelRegion, catalog.LabelZone, catalog.LabelCapacity,
		"topology.k8s.aws/zone-id", workload.LabelHostname:
		return true
	}
	return strings.HasPrefix(key, "karpenter.k8s.aws/")
}

// Refusal says why pods of a group may not run on a node with these labels and
// taints, whatever its size and the pods on it, or "".
func Refusal(g *workload.Group, labels map[string]string, taints []workload.Taint) string {
	if t, ok := workload.Untolerated(g.Tolerations, taints); ok {
		return "taint " + t.Key + " is not tolerated"
	}
	refused := ""
	for i, rs := range g.Alternatives {
		key := rs.Refusal(labels)
		if key == "" {
			return ""
		}
		if i == 0 {
			r := rs[key]
			refused = key + " must be " + r.String()
		}
	}
	return refused
}
