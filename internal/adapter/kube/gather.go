package kube

import (
	"encoding/json"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	helpers "k8s.io/component-helpers/resource"
	kjson "sigs.k8s.io/json"

	"github.com/tatami-platform/tatami/internal/adapter/kube/manifest"
	"github.com/tatami-platform/tatami/internal/control"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// gathering puts the pods of a cluster into groups while they are read, so that
// only one page of them is in memory at a time.
type gathering struct {
	inv  *inventory
	keep func(namespace string, of map[string]string) bool
	// above is who owns a ReplicaSet or Job.
	above map[workload.Ref]workload.Ref

	groups []workload.Group
	kinds  map[string]*kind // by fingerprint
	print  []byte
	onNode map[string]*load
}

// kind is what is known of all pods with one fingerprint.
type kind struct {
	requests unit.Resources
	// group is an index, or negative when the pods are no demand.
	group int
}

const noDemand = -1

// load is what runs on one node.
type load struct {
	groups   map[int]int // number of pods by group
	reserved unit.Resources
	changed  time.Time
}

func newGathering(inv *inventory, keep func(string, map[string]string) bool) *gathering {
	return &gathering{
		inv: inv, keep: keep,
		above: map[workload.Ref]workload.Ref{}, kinds: map[string]*kind{}, onNode: map[string]*load{},
	}
}

// link remembers who owns an owner of pods.
func (g *gathering) link(kind string, raw []byte) error {
	var m struct {
		Metadata metav1.ObjectMeta `json:"metadata"`
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return broken(manifest.Object{At: "the cluster", Kind: kind}, err)
	}
	if o := metav1.GetControllerOf(&m.Metadata); o != nil {
		self := workload.Ref{Kind: kind, Namespace: m.Metadata.Namespace, Name: m.Metadata.Name}
		g.above[self] = workload.Ref{Kind: o.Kind, Namespace: m.Metadata.Namespace, Name: o.Name}
	}
	return nil
}

func (g *gathering) read(raw []byte) error {
	var p corev1.Pod
	if err := kjson.UnmarshalCaseSensitivePreserveInts(raw, &p); err != nil {
		return broken(manifest.Object{At: "the cluster", Kind: "Pod"}, err)
	}
	g.add(&p)
	return nil
}

// add counts a pod with its group, or as a part of what its node has reserved.
// A pod that is going away has been replaced already.
func (g *gathering) add(p *corev1.Pod) {
	if finished(p) || p.DeletionTimestamp != nil {
		return
	}
	owner := g.owner(p)
	g.print = fingerprint(g.print[:0], owner, p)
	k := g.kinds[string(g.print)]
	if k == nil {
		k = g.understand(owner, p)
		g.kinds[string(g.print)] = k
	}
	if k.group != noDemand {
		g.groups[k.group].Count++
	}
	if p.Spec.NodeName == "" {
		return
	}
	if on := g.load(p); k.group == noDemand {
		on.reserved = on.reserved.Plus(k.requests)
	} else {
		on.groups[k.group]++
	}
}

// understand describes the first pod of its kind. It begins a group, whose
// Count is still 0.
func (g *gathering) understand(owner workload.Ref, p *corev1.Pod) *kind {
	k := &kind{group: noDemand}
	k.requests = requests(p, helpers.PodResourcesOptions{UseStatusResources: true, InPlacePodLevelResourcesVerticalScalingEnabled: true})
	if owner.Kind == "DaemonSet" || owner.Kind == "Node" || !g.keep(p.Namespace, p.Labels) {
		return k
	}
	spec := p.Spec
	spec.NodeName = "" // it may be moved, so it is no constraint
	group := g.inv.group(owner, &p.ObjectMeta, &spec)
	group.Count, group.Requests = 0, k.requests
	group.Batch = owner.Kind == "Job" || owner.Kind == "CronJob"
	group.DoNotDisrupt = group.DoNotDisrupt || owner.Kind == "Pod" // nobody would start it again
	k.group = len(g.groups)
	g.groups = append(g.groups, group)
	return k
}

func (g *gathering) load(p *corev1.Pod) *load {
	on := g.onNode[p.Spec.NodeName]
	if on == nil {
		on = &load{groups: map[int]int{}}
		g.onNode[p.Spec.NodeName] = on
	}
	if p.Status.StartTime != nil {
		on.changed = latest(on.changed, p.Status.StartTime.Time)
	}
	return on
}

// owner follows a pod to who decided that it should exist.
func (g *gathering) owner(p *corev1.Pod) workload.Ref {
	o := metav1.GetControllerOf(p)
	if o == nil {
		return g.inv.ref("Pod", p)
	}
	ref := workload.Ref{Kind: o.Kind, Namespace: p.Namespace, Name: o.Name}
	if above, known := g.above[ref]; known {
		return above
	}
	// The list of ReplicaSets may be forbidden; their names tell.
	if hash := p.Labels["pod-template-hash"]; o.Kind == "ReplicaSet" && hash != "" {
		if name, found := strings.CutSuffix(o.Name, "-"+hash); found {
			return workload.Ref{Kind: "Deployment", Namespace: p.Namespace, Name: name}
		}
	}
	return ref
}

// demand joins groups that only labels told apart at which no selector looks,
// such as the hash of a template or the index of a pod, and fills the nodes.
func (g *gathering) demand(now time.Time) (control.Demand, error) {
	inv := g.inv
	var d control.Demand
	s := &d.Snapshot
	s.Now = now
	inv.spaces()
	owners := map[workload.Ref]bool{}
	for i := range g.groups {
		owners[g.groups[i].Owner] = true
	}
	d.Workloads = len(owners)
	budgets := inv.podBudgets(g.groups)
	groups, to := merge(g.groups, budgets)
	inv.scale(groups)
	s.Demand, s.PodBudgets = groups, budgets
	s.Daemons = inv.daemons(&d)
	if err := inv.capacity(&d, now); err != nil {
		return control.Demand{}, err
	}
	s.NodeGroups = append(s.NodeGroups, nodeGroupsOf(inv.nodes)...)
	for i := range s.Nodes {
		g.fill(&s.Nodes[i], to)
	}
	inv.judge(s.Demand, s.Nodes)
	d.NotCovered = append(inv.notCovered, inv.tally.list()...)
	return d, nil
}

func (g *gathering) fill(n *plan.Node, to []int) {
	on := g.onNode[n.Name]
	if on == nil {
		return
	}
	n.Reserved, n.Changed = on.reserved, latest(n.Changed, on.changed)
	counts := map[int]int{}
	for i, pods := range on.groups {
		counts[to[i]] += pods
	}
	for _, i := range sortedKeys(counts) {
		n.Pods = append(n.Pods, plan.Bound{Group: i, Count: counts[i]})
	}
}
