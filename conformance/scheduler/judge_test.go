package scheduler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// hint is how the scheduler learns where a pod is meant to go.
type hint int

const (
	// pinned pods ask for a resource that only the planned node has. Unlike an
	// affinity to the node's name, that leaves the domains of topology spread as
	// they are. So each filter is asked about the planned node and no other.
	pinned hint = iota
	// nominated pods have the planned node in status.nominatedNodeName, as the
	// platform will write it. The scheduler may decide otherwise.
	nominated
	// free pods are what a cluster without the platform would see.
	free
)

const (
	// pin is the prefix of the resource that one node has.
	pin = "pin.tatami.dev/"
	// gate holds a nominated pod back until its node is written.
	gate = "tatami.dev/nominate"
	// stall is how long the scheduler may make no progress: its back-off for a
	// pod that did not fit ends at 10 s, and a busy machine adds to it.
	stall = 25 * time.Second
	// settled is the same where pods are not expected to fit.
	settled  = 3 * time.Second
	patience = 20 * time.Second
	every    = 100 * time.Millisecond
)

// verdict is what became of the pods of a fleet.
type verdict struct {
	// pods of the plan, how many were bound, and to the planned node.
	pods, bound, asPlanned int
	// refused are the pods that were not, with the scheduler's words.
	refused []string
}

// trial is one fleet in an otherwise empty cluster.
type trial struct {
	*testing.T
	ctx  context.Context
	s    *plan.Snapshot
	f    nodes.Fleet
	hint hint
	// planned is the node of each pod by namespace/name.
	planned map[string]string
}

// judge places the fleet's nodes, submits its pods, and waits for the scheduler.
// It ends when all pods are bound, or none was for as long as the limit. The
// cluster is empty again afterwards.
func judge(t *testing.T, s *plan.Snapshot, f nodes.Fleet, h hint, limit time.Duration) verdict {
	t.Helper()
	if shared == nil {
		t.Skip("a cluster is too slow for -short")
	}
	tr := &trial{T: t, ctx: t.Context(), s: s, f: f, hint: h, planned: map[string]string{}}
	defer tr.clear()
	tr.prepare()
	machines := machinesOf(t, s, f)
	tr.placeNodes(machines)
	tr.startDaemons(machines)
	tr.submit(machines)
	return tr.wait(limit)
}

func (tr *trial) must(err error) {
	tr.Helper()
	if err != nil && !apierrors.IsAlreadyExists(err) {
		tr.Fatal(err)
	}
}

// until repeats f until it returns nil.
func (tr *trial) until(what string, f func() error) {
	tr.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(every) {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			tr.Fatalf("%s: not within %s: %v", what, patience, err)
		}
	}
}

// prepare makes the namespaces and priorities that the pods name. They stay.
func (tr *trial) prepare() {
	tr.Helper()
	for i := range tr.s.Demand {
		g := &tr.s.Demand[i]
		if g.Priority != 0 {
			_, err := shared.SchedulingV1().PriorityClasses().Create(tr.ctx, &schedulingv1.PriorityClass{
				ObjectMeta: metav1.ObjectMeta{Name: priorityClass(g.Priority)}, Value: g.Priority,
				// A plan says where pods go, not whom they drive out.
				PreemptionPolicy: new(corev1.PreemptNever),
			}, metav1.CreateOptions{})
			tr.must(err)
		}
	}
	for _, ns := range tr.namespaces() {
		_, err := shared.CoreV1().Namespaces().Create(tr.ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, metav1.CreateOptions{})
		tr.must(err)
		tr.until("service account of "+ns, func() error {
			_, err := shared.CoreV1().ServiceAccounts(ns).Get(tr.ctx, "default", metav1.GetOptions{})
			return err
		})
	}
}

func (tr *trial) namespaces() []string {
	all := map[string]bool{metav1.NamespaceDefault: true}
	for i := range tr.s.Demand {
		all[namespace(&tr.s.Demand[i])] = true
	}
	for i := range tr.s.Daemons {
		all[namespace(&tr.s.Daemons[i])] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// seat is one pod on one machine.
type seat struct {
	group   int
	machine *machine
	pod     *corev1.Pod
	turn    int
}

// submit creates the pods: first those that run already, then those of the plan
// in turns, so that the domains of a topology fill evenly.
func (tr *trial) submit(machines []*machine) {
	tr.Helper()
	var seats []seat
	turns := map[string]int{}
	serial := 0
	take := func(m *machine, b plan.Bound, there bool) {
		g := &tr.s.Demand[b.Group]
		for range b.Count {
			serial++
			pod := podOf(g, fmt.Sprintf("g%d-%d", b.Group, serial))
			if there {
				pod.Spec.NodeName = m.node.Name
				_, err := shared.CoreV1().Pods(pod.Namespace).Create(tr.ctx, pod, metav1.CreateOptions{})
				tr.must(err)
				continue
			}
			key := fmt.Sprint(pod.Namespace, g.Labels, m.node.Labels[corev1.LabelTopologyZone])
			turns[key]++
			seats = append(seats, seat{b.Group, m, pod, turns[key]})
		}
	}
	for _, there := range []bool{true, false} {
		for _, m := range machines {
			pods := m.planned
			if there {
				pods = m.bound
			}
			for _, b := range pods {
				take(m, b, there)
			}
		}
	}
	slices.SortStableFunc(seats, func(a, b seat) int {
		return cmp.Or(cmp.Compare(rank(&tr.s.Demand[a.group]), rank(&tr.s.Demand[b.group])), cmp.Compare(a.turn, b.turn))
	})
	for _, st := range seats {
		tr.create(st)
	}
}

// rank is the order in which pods come: the scheduler looks at a spread only
// when it places a pod that carries it, and others may stand in its way; who
// needs a neighbour comes after it.
func rank(g *workload.Group) int {
	switch {
	case len(g.Affinity) > 0:
		return 2
	case len(g.Spread) > 0:
		return 0
	}
	return 1
}

func (tr *trial) create(st seat) {
	tr.Helper()
	pod, node := st.pod, st.machine.node.Name
	tr.planned[pod.Namespace+"/"+pod.Name] = node
	pods := shared.CoreV1().Pods(pod.Namespace)
	switch tr.hint {
	case pinned:
		r := &pod.Spec.Containers[0].Resources
		r.Requests[pin+corev1.ResourceName(node)], r.Limits[pin+corev1.ResourceName(node)] = resource.MustParse("1"), resource.MustParse("1")
	case nominated:
		pod.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: gate}}
	case free:
	}
	_, err := pods.Create(tr.ctx, pod, metav1.CreateOptions{})
	tr.must(err)
	if tr.hint != nominated {
		return
	}
	_, err = pods.Patch(tr.ctx, pod.Name, types.MergePatchType, fmt.Appendf(nil, `{"status":{"nominatedNodeName":%q}}`, node), metav1.PatchOptions{}, "status")
	tr.must(err)
	_, err = pods.Patch(tr.ctx, pod.Name, types.MergePatchType, []byte(`{"spec":{"schedulingGates":null}}`), metav1.PatchOptions{})
	tr.must(err)
}

func (tr *trial) wait(limit time.Duration) verdict {
	tr.Helper()
	last, since := verdict{}, time.Now()
	for ; ; time.Sleep(every) {
		v := tr.look()
		if v.bound == v.pods || time.Since(since) > limit {
			return v
		}
		if v.bound != last.bound {
			last, since = v, time.Now()
		}
	}
}

func (tr *trial) look() verdict {
	tr.Helper()
	v := verdict{pods: len(tr.planned)}
	for _, ns := range tr.namespaces() {
		list, err := shared.CoreV1().Pods(ns).List(tr.ctx, metav1.ListOptions{ResourceVersion: "0"})
		tr.must(err)
		for i := range list.Items {
			p := &list.Items[i]
			planned, ours := tr.planned[ns+"/"+p.Name]
			switch {
			case !ours:
			case p.Spec.NodeName == "":
				v.refused = append(v.refused, fmt.Sprintf("%s (planned for %s): %s", p.Name, planned, why(p)))
			case p.Spec.NodeName == planned:
				v.bound, v.asPlanned = v.bound+1, v.asPlanned+1
			default:
				v.bound++
			}
		}
	}
	return v
}

// why is the scheduler's message without what the pin explains.
func why(p *corev1.Pod) string {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			parts := strings.Split(strings.TrimSuffix(c.Message, "."), ", ")
			return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return strings.Contains(s, pin) }), ", ")
		}
	}
	return "the scheduler has not looked at it"
}

// clear empties the cluster.
func (tr *trial) clear() {
	tr.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tr.ctx), patience)
	defer cancel()
	tr.ctx = ctx
	now, all := metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}, metav1.ListOptions{}
	for _, ns := range tr.namespaces() {
		tr.must(shared.AppsV1().DaemonSets(ns).DeleteCollection(tr.ctx, now, all))
	}
	tr.until("the cluster is empty", func() error {
		left := 0
		for _, ns := range tr.namespaces() {
			if err := shared.CoreV1().Pods(ns).DeleteCollection(tr.ctx, now, all); err != nil {
				return err
			}
			pods, err := shared.CoreV1().Pods(ns).List(tr.ctx, all)
			if err != nil {
				return err
			}
			sets, err := shared.AppsV1().DaemonSets(ns).List(tr.ctx, all)
			if err != nil {
				return err
			}
			left += len(pods.Items) + len(sets.Items)
		}
		if left > 0 {
			return fmt.Errorf("%d pods and DaemonSets are left", left)
		}
		return errors.Join(shared.CoreV1().Nodes().DeleteCollection(tr.ctx, now, all))
	})
}
