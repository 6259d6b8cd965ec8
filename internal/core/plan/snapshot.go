package plan

import (
	"time"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// Snapshot is what is known at one moment. It is immutable: whoever wants
// another one copies it and replaces whole fields, as control does when one
// decider's wish becomes another one's input.
type Snapshot struct {
	// Now is the moment; deciders have no other clock.
	Now    time.Time
	Region string
	// Demand is every pod that should run, bound to a node or not, without those
	// of DaemonSets. Nodes refer to its elements by index.
	Demand []workload.Group
	// Daemons run once on each node that they fit on; Count is not used.
	Daemons []workload.Group
	// Pools say which nodes may be bought. Without a pool none may.
	Pools []workload.Pool
	// NodeGroups are nodes of the older kind; strategies that know no pools buy
	// from them.
	NodeGroups []workload.NodeGroup
	// Nodes exist, or have been ordered.
	Nodes []Node
	// Offers can be bought now. Their zones are the zones of the cluster.
	Offers  []catalog.Offering
	Kubelet catalog.Kubelet
	// PodBudgets bound how many pods may be disrupted.
	PodBudgets []workload.PodBudget
	// Signals are what is measured and forecast about the objects in demand.
	Signals []Signal
}

// Node is a machine in the cluster, or on its way.
type Node struct {
	Name string
	// Pool that it belongs to; empty when the platform may not change it.
	Pool     string
	Offering catalog.Offering
	Labels   map[string]string
	Taints   []workload.Taint
	// Allocatable is what the kubelet reports; Reserved is what pods outside of
	// the demand take of it: those of DaemonSets and of the node itself.
	Allocatable, Reserved unit.Resources
	Pods                  []Bound
	Created               time.Time
	// Changed is when pods last came or went.
	Changed time.Time
	// Initialized says that it takes pods already.
	Initialized bool
	// Leaving says that it is being deleted: its pods need another place.
	Leaving bool
	// DoNotDisrupt pins it, e.g. by annotation.
	DoNotDisrupt bool
}

// Bound says how many pods of a group run on a node.
type Bound struct {
	Group int // index into Snapshot.Demand
	Count int
}

// Signal is one figure about one object: a queue's depth, requests per second,
// the processor time that is used.
type Signal struct {
	Target workload.Ref
	Name   string // e.g. "requestsPerSecond"
	Value  float64
	At     time.Time
	// Forecast continues it into the future, in order of time.
	Forecast []Point
}

// Point is an expected value with the range in which it lies 9 times in 10.
type Point struct {
	At               time.Time
	Value, Low, High float64
}
