package karpenter

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// A topology spread constraint is looked at only when a pod that carries it is
// added. A pod that it counts and that does not carry it may go anywhere, and
// may so keep carriers off that come later. So those that are in nobody's way
// are added first, then those that leave domains even, then any.
type order struct {
	batch   *batch
	nodes   []*intended
	watches []*watch
}

// watch is a topology spread constraint with the state of its domains.
type watch struct {
	key            string
	skew           int
	carried, count map[int]bool   // by group
	pods           map[string]int // counted, by domain
	// waiting are carriers that are to be added, by domain: those that the
	// constraint does not count, and those that it does.
	waiting [2]map[string]int
}

// politeness is how much a pod may be in the way of others.
type politeness int

const (
	harmless politeness = iota // no carrier is left that it could keep off
	even                       // the domain stays within the skew
	pushy                      // so do nodes; zones need not
	rude                       // anything goes
)

// watch prepares the constraints of all groups, and interleaves the zones.
func (o *order) watch(s *plan.Snapshot) {
	known := map[string]*watch{}
	for g := range s.Demand {
		for _, spread := range s.Demand[g].Spread {
			id := fmt.Sprintf("%s %d %v", spread.TopologyKey, spread.MaxSkew, spread.Selector)
			w := known[id]
			if w == nil {
				w = &watch{
					key: spread.TopologyKey, skew: spread.MaxSkew, carried: map[int]bool{}, count: map[int]bool{},
					pods: map[string]int{}, waiting: [2]map[string]int{{}, {}},
				}
				for h := range s.Demand {
					w.count[h] = spread.Selector.Matches(s.Demand[h].Labels)
				}
				for _, offer := range s.Offers {
					if w.key == workload.LabelZone {
						w.pods[offer.Zone] = 0
					}
				}
				known[id] = w
				o.watches = append(o.watches, w)
			}
			w.carried[g] = true
		}
	}
	rank, next := map[*intended]int{}, map[string]int{}
	for _, n := range o.nodes {
		rank[n] = next[n.zone]
		next[n.zone]++
		for _, pod := range n.pods {
			o.placed(n, pod, 1, 0)
		}
	}
	slices.SortStableFunc(o.nodes, func(a, b *intended) int { return rank[a] - rank[b] })
}

// settle adds all pods that it can, and says why not of the others.
func (o *order) settle(ctx context.Context) []string {
	for o.sweep(ctx, harmless) || o.sweep(ctx, even) || o.sweep(ctx, pushy) || o.sweep(ctx, rude) {
		continue
	}
	var refused []string
	for _, n := range o.nodes {
		for _, pod := range n.pods {
			refused = append(refused, fmt.Sprintf("%s: %s with labels %v: %v", n.name, pod.Name, pod.Labels, n.add(ctx, pod)))
		}
	}
	return refused
}

// sweep adds what it may: all harmless pods, one even pod to each node, or just
// one other pod.
func (o *order) sweep(ctx context.Context, how politeness) bool {
	progress := false
	for _, n := range o.nodes {
		for i := 0; i < len(n.pods); {
			pod := n.pods[i]
			if !o.polite(n, pod, how) || n.add(ctx, pod) != nil {
				i++
				continue
			}
			n.pods = slices.Delete(n.pods, i, i+1)
			o.placed(n, pod, -1, 1)
			progress = true
			if how >= pushy {
				return true
			}
			if how == even {
				break
			}
		}
	}
	return progress
}

// placed changes what the constraints know of a pod on a node.
func (o *order) placed(n *intended, pod *corev1.Pod, waiting, counted int) {
	g := o.batch.groups[string(pod.UID)]
	for _, w := range o.watches {
		d := w.domain(n)
		self := 0
		if w.count[g] {
			self = 1
			w.pods[d] += counted
		}
		if w.carried[g] {
			w.waiting[self][d] += waiting
		}
	}
}

func (w *watch) domain(n *intended) string {
	if w.key == workload.LabelHostname {
		return n.host
	}
	return n.zone
}

func (o *order) polite(n *intended, pod *corev1.Pod, how politeness) bool {
	g := o.batch.groups[string(pod.UID)]
	for _, w := range o.watches {
		if how == rude || !w.count[g] || w.carried[g] {
			continue
		}
		if how == pushy && w.key != workload.LabelHostname {
			continue
		}
		if !w.tolerates(w.domain(n), how) {
			return false
		}
	}
	return true
}

// tolerates says whether one more pod may be counted in a domain while carriers
// wait there; in other domains they are helped, if anything.
func (w *watch) tolerates(domain string, how politeness) bool {
	after := w.pods[domain] + 1
	if w.key != workload.LabelHostname { // else the least is 0: Karpenter can always buy an empty node
		after -= w.least()
	}
	for self, waiting := range w.waiting {
		if how == harmless {
			after += self
		}
		if waiting[domain] > 0 && after > w.skew {
			return false
		}
	}
	return true
}

func (w *watch) least() int {
	least := -1
	for _, n := range w.pods {
		if least < 0 || n < least {
			least = n
		}
	}
	return max(least, 0)
}
