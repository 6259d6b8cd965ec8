package kube

import (
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tatami-platform/tatami/internal/core/workload"
)

// eksctl's defaults.
const (
	eksctlType  = "m5.large"
	eksctlNodes = 2
)

// clusterConfig is the part of eksctl's configuration that says which nodes
// there are.
type clusterConfig struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"-"`

	Metadata struct {
		Name   string `json:"name"`
		Region string `json:"region"`
	} `json:"metadata"`
	ManagedNodeGroups []eksctlGroup   `json:"managedNodeGroups"`
	NodeGroups        []eksctlGroup   `json:"nodeGroups"`
	FargateProfiles   json.RawMessage `json:"fargateProfiles"`
}

type eksctlGroup struct {
	Name                  string   `json:"name"`
	InstanceType          string   `json:"instanceType"`
	InstanceTypes         []string `json:"instanceTypes"`
	Spot                  bool     `json:"spot"`
	InstancesDistribution *struct {
		InstanceTypes []string `json:"instanceTypes"`
		OnDemandBase  *int     `json:"onDemandBaseCapacity"`
		OnDemandAbove *int     `json:"onDemandPercentageAboveBaseCapacity"`
	} `json:"instancesDistribution"`
	MinSize           *int              `json:"minSize"`
	MaxSize           *int              `json:"maxSize"`
	DesiredCapacity   *int              `json:"desiredCapacity"`
	AvailabilityZones []string          `json:"availabilityZones"`
	Labels            map[string]string `json:"labels"`
	Taints            json.RawMessage   `json:"taints"`
}

func (inv *inventory) nodeGroups() []workload.NodeGroup {
	var out []workload.NodeGroup
	for _, c := range inv.clusters {
		ref := workload.Ref{Kind: "ClusterConfig", Name: c.Metadata.Name}
		if len(c.FargateProfiles) > 0 {
			inv.note(ref, "fargateProfiles", "which pods run on Fargate today is not considered")
		}
		for _, list := range [][]eksctlGroup{c.ManagedNodeGroups, c.NodeGroups} {
			for i := range list {
				out = append(out, inv.nodeGroup(ref, &list[i]))
			}
		}
	}
	return out
}

func (inv *inventory) nodeGroup(ref workload.Ref, e *eksctlGroup) workload.NodeGroup {
	g := workload.NodeGroup{Name: e.Name, Shapes: e.InstanceTypes, Spot: e.Spot, Zones: e.AvailabilityZones, Labels: e.Labels}
	if d := e.InstancesDistribution; d != nil {
		g.Shapes = d.InstanceTypes
		base, above := valueOr(d.OnDemandBase, 0), valueOr(d.OnDemandAbove, 100)
		g.Spot = base == 0 && above == 0
		if !g.Spot && above < 100 {
			inv.note(ref, "nodeGroups."+e.Name+".instancesDistribution", "a mixture of spot and on-demand is taken for on-demand")
		}
	}
	if len(g.Shapes) == 0 && e.InstanceType != "" && e.InstanceType != "mixed" {
		g.Shapes = []string{e.InstanceType}
	}
	if len(g.Shapes) == 0 {
		g.Shapes = []string{eksctlType}
	}
	g.Min, g.Max, g.Desired = e.sizes()
	var err error
	if g.Taints, err = e.taints(); err != nil {
		inv.note(ref, "nodeGroups."+e.Name+".taints", "they are not understood and left out")
	}
	return g
}

// sizes fills in what is not given from what is.
func (e *eksctlGroup) sizes() (least, most, desired int) {
	first := eksctlNodes
	for _, n := range []*int{e.MaxSize, e.MinSize, e.DesiredCapacity} {
		first = valueOr(n, first)
	}
	desired = valueOr(e.DesiredCapacity, valueOr(e.MinSize, first))
	least, most = valueOr(e.MinSize, desired), valueOr(e.MaxSize, max(first, desired))
	return least, most, desired
}

// taints are a list, or a map from key to "value:effect".
func (e *eksctlGroup) taints() ([]workload.Taint, error) {
	if len(e.Taints) == 0 || string(e.Taints) == "null" {
		return nil, nil
	}
	var list []workload.Taint
	if json.Unmarshal(e.Taints, &list) == nil {
		return list, nil
	}
	var short map[string]string
	if err := json.Unmarshal(e.Taints, &short); err != nil {
		return nil, err
	}
	for _, key := range sortedKeys(short) {
		value, effect := cutLast(short[key], ":")
		list = append(list, workload.Taint{Key: key, Value: value, Effect: workload.Effect(effect)})
	}
	return list, nil
}

func valueOr[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
