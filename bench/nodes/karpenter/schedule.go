package karpenter

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/log"
	karpenterv1 "sigs.k8s.io/karpenter/pkg/apis/v1"
	"sigs.k8s.io/karpenter/pkg/cloudprovider"
	"sigs.k8s.io/karpenter/pkg/controllers/provisioning/scheduling"
	"sigs.k8s.io/karpenter/pkg/controllers/state"
	"sigs.k8s.io/karpenter/pkg/events"
	"sigs.k8s.io/karpenter/pkg/operator/injection"
	"sigs.k8s.io/karpenter/pkg/operator/logging"
	"sigs.k8s.io/karpenter/pkg/operator/options"

	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/plan"
)

// ErrNodes says that the snapshot has nodes already.
var ErrNodes = errors.New("the scheduler is run on an empty cluster only")

// Answer is what the scheduler decided.
type Answer struct {
	// Fleet has the cheapest offering that Karpenter leaves open for each node,
	// which is what a launch at the lowest price takes. It has no bound.
	Fleet nodes.Fleet
	// Elapsed is the time of Solve alone, without making pods and instance types.
	Elapsed time.Duration
	// TimedOut says that time was up before every pod had its turn; those that
	// had none are pending.
	TimedOut bool
}

// Settings of a run.
type Settings struct {
	// Workers look at nodes at the same time; 0 is 1, as in a deployment with one
	// core. The answer does not depend on it.
	Workers int
	// Limit is when to stop; 0 is a minute, as in a cluster, where Karpenter then
	// launches what it has.
	Limit time.Duration
	// Seed of the pods' identifiers, which order those of equal size.
	Seed uint64
}

// Schedule lets Karpenter decide. It keeps global state, so only one call may
// run at a time; and it walks over maps, so with constraints on topology two
// runs may differ.
func Schedule(ctx context.Context, s *plan.Snapshot, set Settings) (Answer, error) {
	if len(s.Nodes) > 0 {
		return Answer{}, ErrNodes
	}
	ctx = withOptions(ctx)
	b := newBatch(s, set.Seed)
	scheduler, err := b.scheduler(ctx, max(set.Workers, 1))
	if err != nil {
		return Answer{}, err
	}
	if set.Limit == 0 {
		set.Limit = time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, set.Limit)
	defer cancel()
	began := time.Now()
	results, err := scheduler.Solve(ctx, b.pods)
	answer := Answer{Elapsed: time.Since(began), TimedOut: errors.Is(err, context.DeadlineExceeded)}
	if err != nil && !answer.TimedOut {
		return Answer{}, fmt.Errorf("karpenter: %w", err)
	}
	answer.Fleet, err = b.fleet(s, results.TruncateInstanceTypes(ctx, scheduling.MaxInstanceTypes))
	return answer, err
}

// withOptions are Karpenter's defaults.
func withOptions(ctx context.Context) context.Context {
	log.SetLogger(logging.NopLogger)
	return options.ToContext(injection.WithControllerName(ctx, "provisioner"), &options.Options{
		PreferencePolicy: options.PreferencePolicyRespect, MinValuesPolicy: options.MinValuesPolicyStrict,
		IgnoreDRARequests: true, FeatureGates: options.DefaultFeatureGates(),
	})
}

// batch is a snapshot in Karpenter's words.
type batch struct {
	pools   []*karpenterv1.NodePool
	types   map[string][]*cloudprovider.InstanceType
	offers  offers
	pods    []*corev1.Pod
	daemons []*corev1.Pod
	// groups are the indexes of the pods' groups, by UID.
	groups map[string]int
	client *fake.ClientBuilder
}

func newBatch(s *plan.Snapshot, seed uint64) *batch {
	r := rand.New(rand.NewPCG(seed, 1))
	b := &batch{types: map[string][]*cloudprovider.InstanceType{}, groups: map[string]int{}, client: fake.NewClientBuilder()}
	b.pools = nodePools(s.Pools)
	types, offers := instanceTypes(s.Offers, s.Kubelet)
	b.offers = offers
	for _, pool := range b.pools {
		b.types[pool.Name] = types
	}
	namespaces := map[string]bool{}
	for g := range s.Demand {
		for range s.Demand[g].Count {
			pod := newPod(&s.Demand[g], len(b.pods), r.Uint64())
			b.groups[string(pod.UID)] = g
			b.pods = append(b.pods, pod)
			if !namespaces[pod.Namespace] {
				namespaces[pod.Namespace] = true
				b.client.WithObjects(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: pod.Namespace}})
			}
		}
	}
	for g := range s.Daemons {
		b.daemons = append(b.daemons, newPod(&s.Daemons[g], len(b.pods)+g, r.Uint64()))
	}
	return b
}

func (b *batch) scheduler(ctx context.Context, workers int) (*scheduling.Scheduler, error) {
	client := b.client.Build()
	cluster := state.NewCluster(clock.RealClock{}, client, nil)
	opts := []scheduling.Options{
		scheduling.DisableReservedCapacityFallback,
		scheduling.NumConcurrentReconciles(workers),
		scheduling.MinValuesPolicy(options.MinValuesPolicyStrict),
	}
	topology, err := scheduling.NewTopology(ctx, client, cluster, nil, b.pools, b.types, b.pods, opts...)
	if err != nil {
		return nil, fmt.Errorf("karpenter: topology: %w", err)
	}
	return scheduling.NewScheduler(ctx, client, b.pools, cluster, nil, topology, b.types, b.daemons,
		events.NewRecorder(&record.FakeRecorder{}), clock.RealClock{}, nil, nil, opts...), nil
}
