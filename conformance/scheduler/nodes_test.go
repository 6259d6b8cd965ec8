package scheduler

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// machine is one node, and the pods that are there and that the plan puts there.
type machine struct {
	node           *corev1.Node
	bound, planned []plan.Bound
	// daemons is what the plan expects DaemonSets to take; those of nodes that
	// exist are in what is reserved there.
	daemons unit.Resources
	exists  bool
}

// existing marks nodes that were there before the plan.
const existing = "tatami.dev/existing"

func machinesOf(t *testing.T, s *plan.Snapshot, f nodes.Fleet) []*machine {
	t.Helper()
	var out []*machine
	for i := range s.Nodes {
		n := &s.Nodes[i]
		m := &machine{node: nodeObject(n.Name, n.Labels, n.Taints, n.Allocatable.Minus(n.Reserved)), bound: n.Pods, exists: true}
		m.node.Labels[existing] = ""
		m.node.Spec.Unschedulable = n.Leaving
		out = append(out, m)
	}
	for _, p := range f.Placed {
		out[p.Node].planned = append(out[p.Node].planned, p.Pods...)
	}
	for i, p := range f.Purchases {
		k := slices.IndexFunc(s.Pools, func(o workload.Pool) bool { return o.Name == p.Pool })
		if k < 0 {
			t.Fatalf("purchase %d: there is no pool %q", i, p.Pool)
		}
		for j := range p.Count {
			name := fmt.Sprintf("n%d-%d", i, j)
			node := nodeObject(name, labels(&s.Pools[k], p.Offering), s.Pools[k].Taints, p.Allocatable)
			out = append(out, &machine{node: node, planned: p.Pods, daemons: p.Daemons})
		}
	}
	return out
}

// labels are those that a new node gets: of the pool first, so that what the
// machine really is overrules what the pool wants.
func labels(pool *workload.Pool, o catalog.Offering) map[string]string {
	all := map[string]string{}
	for key, r := range pool.Requirements {
		if values, finite := r.Values(); finite && len(values) == 1 {
			all[key] = values[0]
		}
	}
	maps.Copy(all, pool.Labels)
	maps.Copy(all, o.Labels())
	all[catalog.LabelPool] = pool.Name
	return all
}

func nodeObject(name string, labels map[string]string, taints []workload.Taint, allocatable unit.Resources) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{}}}
	maps.Copy(n.Labels, labels)
	n.Labels[workload.LabelHostname] = name
	for _, t := range taints {
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: t.Key, Value: t.Value, Effect: corev1.TaintEffect(t.Effect)})
	}
	amounts := resources(allocatable)
	amounts[pin+corev1.ResourceName(name)] = resource.MustParse("1000")
	n.Status = corev1.NodeStatus{
		Capacity: amounts, Allocatable: amounts,
		Conditions: []corev1.NodeCondition{{
			Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "Planned",
			LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.Now(),
		}},
	}
	return n
}

// placeNodes creates the nodes, and takes the taint away that each new node has
// until it was seen to be ready: the controller needs 200 ms for each.
func (tr *trial) placeNodes(machines []*machine) {
	tr.Helper()
	for _, m := range machines {
		_, err := shared.CoreV1().Nodes().Create(tr.ctx, m.node, metav1.CreateOptions{})
		tr.must(err)
		taints, err := json.Marshal(map[string]any{"spec": map[string]any{"taints": m.node.Spec.Taints}})
		tr.must(err)
		_, err = shared.CoreV1().Nodes().Patch(tr.ctx, m.node.Name, types.MergePatchType, taints, metav1.PatchOptions{})
		tr.must(err)
	}
	tr.until("the nodes are ready", func() error {
		list, err := shared.CoreV1().Nodes().List(tr.ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		if len(list.Items) != len(machines) {
			return fmt.Errorf("%d nodes of %d", len(list.Items), len(machines))
		}
		for i := range list.Items {
			for _, t := range list.Items[i].Spec.Taints {
				if t.Key == corev1.TaintNodeNotReady {
					return errors.New(list.Items[i].Name + " counts as not ready")
				}
			}
		}
		return nil
	})
	tr.keepAlive(machines)
}

// heartbeat is a fraction of the 50 s after which a silent node counts as lost.
const heartbeat = 15 * time.Second

// keepAlive renews the leases that kubelets would renew.
func (tr *trial) keepAlive(machines []*machine) {
	tr.Helper()
	stop := make(chan struct{})
	var beating sync.WaitGroup
	beating.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(heartbeat):
			}
			leases := shared.CoordinationV1().Leases(corev1.NamespaceNodeLease)
			for _, m := range machines {
				l := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: m.node.Name}}
				l.Spec = coordinationv1.LeaseSpec{HolderIdentity: new(m.node.Name), RenewTime: new(metav1.NowMicro())}
				_ = leases.Delete(tr.Context(), m.node.Name, metav1.DeleteOptions{})
				_, _ = leases.Create(tr.Context(), l, metav1.CreateOptions{})
			}
		}
	})
	tr.Cleanup(func() { close(stop); beating.Wait() })
}

// startDaemons creates the DaemonSets on the new nodes, and holds what the real
// controller starts there against what the plan expects.
func (tr *trial) startDaemons(machines []*machine) {
	tr.Helper()
	if len(tr.s.Daemons) == 0 {
		return
	}
	for i := range tr.s.Daemons {
		g := tr.s.Daemons[i]
		g.Alternatives = onNewNodes(g.Alternatives)
		pod := podOf(&g, "")
		pod.Labels = map[string]string{"daemon": g.Owner.Name}
		set := &appsv1.DaemonSet{
			ObjectMeta: metav1.ObjectMeta{Name: g.Owner.Name},
			Spec: appsv1.DaemonSetSpec{
				Selector: &metav1.LabelSelector{MatchLabels: pod.Labels},
				Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: pod.Labels}, Spec: pod.Spec},
			},
		}
		_, err := shared.AppsV1().DaemonSets(pod.Namespace).Create(tr.ctx, set, metav1.CreateOptions{})
		tr.must(err)
	}
	want := map[string]unit.Resources{}
	for _, m := range machines {
		if !m.exists {
			want[m.node.Name] = m.daemons
		}
	}
	tr.until("the DaemonSets take what the plan says", func() error { return tr.compareDaemons(want) })
}

// onNewNodes adds to each alternative that the node is new.
func onNewNodes(alternatives []workload.Requirements) []workload.Requirements {
	fresh, err := workload.NewRequirement(workload.DoesNotExist)
	if err != nil {
		panic(err)
	}
	if len(alternatives) == 0 {
		return []workload.Requirements{{existing: fresh}}
	}
	var out []workload.Requirements
	for _, rs := range alternatives {
		out = append(out, rs.Intersect(workload.Requirements{existing: fresh}))
	}
	return out
}

func (tr *trial) compareDaemons(want map[string]unit.Resources) error {
	got := map[string]unit.Resources{}
	for i := range tr.s.Daemons {
		g := &tr.s.Daemons[i]
		list, err := shared.CoreV1().Pods(namespace(g)).List(tr.ctx, metav1.ListOptions{LabelSelector: "daemon=" + g.Owner.Name})
		if err != nil {
			return err
		}
		for j := range list.Items {
			name := list.Items[j].Spec.NodeName
			got[name] = got[name].Plus(g.Requests)
		}
	}
	for name, w := range want {
		if !got[name].Equal(w) {
			return fmt.Errorf("node %s: they take %+v, planned is %+v", name, got[name], w)
		}
	}
	return nil
}
