package check

import (
	"maps"
	"slices"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// product is a new node of a pool or node group, before pods come. It is shared:
// nobody writes to it.
type product struct {
	labels map[string]string
	taints []workload.Taint
	// allocatable is for all pods, daemons is what DaemonSets take of it.
	allocatable, capacity, daemons unit.Resources
}

type productKey struct {
	pool     string
	shape    *catalog.Shape
	zone     string
	capacity catalog.CapacityType
}

// product makes the node of an offering once.
func (c *checker) product(pool string, o catalog.Offering) *product {
	key := productKey{pool, o.Shape, o.Zone, o.Capacity}
	if p, ok := c.products[key]; ok {
		return p
	}
	p := &product{
		labels: c.labels(pool, o), taints: c.taints(pool),
		allocatable: o.Shape.Allocatable(c.s.Kubelet), capacity: o.Shape.Capacity(c.s.Kubelet),
	}
	for i := range c.s.Daemons {
		if d := &c.s.Daemons[i]; runs(d, p.labels, p.taints) {
			p.daemons = p.daemons.Plus(d.Requests)
		}
	}
	if o.Capacity == catalog.Fargate {
		// A machine for one pod, without our kubelet and without DaemonSets.
		p.labels["eks.amazonaws.com/compute-type"] = "fargate"
		p.daemons = unit.Resources{}
	}
	c.products[key] = p
	return p
}

// labels are those that a new node in a pool or node group will have: what the
// machine is, what the pool adds, and requirements that leave one value.
func (c *checker) labels(name string, o catalog.Offering) map[string]string {
	l := o.Labels()
	l[workload.LabelHostname] = "named-when-it-exists"
	if pool := c.pool(name); pool != nil {
		for key, r := range pool.Requirements {
			if values, finite := r.Values(); finite && len(values) == 1 && !intrinsic(key) {
				l[key] = values[0]
			}
		}
		maps.Copy(l, pool.Labels)
		l[catalog.LabelPool] = name
	} else if group := c.nodeGroup(name); group != nil {
		maps.Copy(l, group.Labels)
	}
	return l
}

// intrinsic says that a label follows from the offering alone: a pool that asks
// for a value of it does not give it to its nodes.
func intrinsic(key string) bool {
	return strings.HasPrefix(key, "karpenter.k8s.aws/instance-") || slices.Contains([]string{
		catalog.LabelShape, catalog.LabelArch, catalog.LabelOS, catalog.LabelRegion, catalog.LabelZone,
		catalog.LabelZoneID, catalog.LabelCapacity,
	}, key)
}

func (c *checker) taints(name string) []workload.Taint {
	if pool := c.pool(name); pool != nil {
		return pool.Taints
	}
	if group := c.nodeGroup(name); group != nil {
		return group.Taints
	}
	return nil
}

// runs says whether a DaemonSet has a pod on a node with these labels and
// taints.
func runs(d *workload.Group, labels map[string]string, taints []workload.Taint) bool {
	_, kept := workload.Untolerated(d.Tolerations, taints)
	return !kept && allowed(d, labels)
}
