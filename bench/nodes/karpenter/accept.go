package karpenter

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
	karpenterv1 "sigs.k8s.io/karpenter/pkg/apis/v1"
	"sigs.k8s.io/karpenter/pkg/cloudprovider"
	"sigs.k8s.io/karpenter/pkg/controllers/provisioning/scheduling"
	"sigs.k8s.io/karpenter/pkg/controllers/state"
	requirements "sigs.k8s.io/karpenter/pkg/scheduling"
	"sigs.k8s.io/karpenter/pkg/utils/resources"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/plan"
)

// Refused lists the pods of a fleet that Karpenter would not add to the node
// that they are meant for, each with Karpenter's reason. Every node becomes a
// claim of just its offering. Wishes that are not required are left out. What
// topology constraints allow depends on the order of adding, which is searched
// greedily (see order.go): an empty list proves that the fleet is possible; where
// many constraints cross, a long one may be an order that was missed.
func Refused(ctx context.Context, s *plan.Snapshot, f nodes.Fleet) ([]string, error) {
	if len(s.Nodes) > 0 {
		return nil, ErrNodes
	}
	ctx = withOptions(ctx)
	b := newBatch(s, 0)
	client := b.client.Build()
	cluster := state.NewCluster(clock.RealClock{}, client, nil)
	topology, err := scheduling.NewTopology(ctx, client, cluster, nil, b.pools, b.types, b.pods)
	if err != nil {
		return nil, fmt.Errorf("karpenter: topology: %w", err)
	}
	pods := map[int][]*corev1.Pod{}
	for _, pod := range b.pods {
		g := b.groups[string(pod.UID)]
		pods[g] = append(pods[g], pod)
	}
	o := order{batch: b}
	for i := range f.Purchases {
		p := &f.Purchases[i]
		for copy := range p.Count {
			n := &intended{
				claim: b.claim(s, p, topology), name: fmt.Sprintf("purchase %d", i),
				host: fmt.Sprintf("%d/%d", i, copy), zone: p.Offering.Zone,
			}
			for _, bound := range p.Pods {
				n.pods = append(n.pods, pods[bound.Group][:bound.Count]...)
				pods[bound.Group] = pods[bound.Group][bound.Count:]
			}
			o.nodes = append(o.nodes, n)
		}
	}
	o.watch(s)
	return o.settle(ctx), nil
}

// intended is a node with the pods that are still to be added.
type intended struct {
	claim            *scheduling.NodeClaim
	name, host, zone string
	pods             []*corev1.Pod
}

func (n *intended) add(ctx context.Context, pod *corev1.Pod) error {
	data := &scheduling.PodData{
		Requests:           resources.RequestsForPods(pod),
		Requirements:       requirements.NewStrictPodRequirements(pod),
		StrictRequirements: requirements.NewStrictPodRequirements(pod),
	}
	updated, types, offers, result, err := n.claim.CanAdd(ctx, pod, data, false, nil)
	if err == nil {
		n.claim.Add(ctx, pod, data, updated, types, offers, result, nil)
	}
	return err
}

// claim is a node of just one offering.
func (b *batch) claim(s *plan.Snapshot, p *nodes.Purchase, topology *scheduling.Topology) *scheduling.NodeClaim {
	pool := b.pools[slices.IndexFunc(b.pools, func(np *karpenterv1.NodePool) bool { return np.Name == p.Pool })]
	template := scheduling.NewNodeClaimTemplate(pool)
	for key, value := range map[string]string{
		catalog.LabelShape: p.Offering.Shape.Name, catalog.LabelZone: p.Offering.Zone, catalog.LabelCapacity: string(p.Offering.Capacity),
	} {
		template.Requirements.Add(requirements.NewRequirement(key, corev1.NodeSelectorOpIn, value))
	}
	types, _ := instanceTypes([]catalog.Offering{p.Offering}, s.Kubelet)
	overhead := []scheduling.DaemonOverheadGroup{{
		InstanceTypes: types, DaemonOverhead: resourceList(p.Daemons), HostPortUsage: requirements.NewHostPortUsage(),
	}}
	return scheduling.NewNodeClaim(template, topology, overhead, types,
		scheduling.NewReservationManager(map[string][]*cloudprovider.InstanceType{p.Pool: types}), scheduling.ReservedOfferingModeFallback)
}
