package restart

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/conformance/proxy/chaos/lab"
	"github.com/tatami-platform/tatami/conformance/proxy/rig"
	pb "github.com/tatami-platform/tatami/internal/proxy/config/configpb"
)

func TestHundredRollouts(t *testing.T) {
	rollouts := 50 // of two backends each
	if testing.Short() {
		rollouts = 5
	}
	rig.Both(t, func(t *testing.T, kind rig.Kind) {
		t.Helper()
		c := newControlled(t, kind)
		r := &rollout{controlled: c}
		r.add()
		r.add()
		r.publish(-1)
		load := begin(t, c.bodies, c.front())
		for n := range rollouts {
			r.add()
			if n%2 == 0 {
				// The protocol of a deployment: announced, then gone.
				r.publish(0)
				r.waitIdle()
			}
			old, oldGRPC := r.web[0], r.grpc[0]
			r.web, r.grpc = r.web[1:], r.grpc[1:]
			r.publish(-1)
			if n%2 == 1 {
				// Not announced: it ends as soon as what was asked of it is done.
				time.Sleep(20 * time.Millisecond)
				lab.Until(t, "what was asked is done", func() bool { return old.Active.Load() == 0 })
			}
			old.Close()
			oldGRPC.Server.GracefulStop()
			r.bad = append(r.bad, old.Bad())
		}
		load.end()
		for _, err := range r.bad {
			if err != nil {
				t.Errorf("a backend got a wrong request: %v", err)
			}
		}
	})
}

// rollout replaces backends.
type rollout struct {
	*controlled
	web  []*lab.Origin
	grpc []*lab.GRPCOrigin
	bad  []error
}

// add starts a backend of each kind.
func (r *rollout) add() {
	r.web = append(r.web, lab.NewOrigin(r.t, r.bodies, wellOrSlow))
	r.grpc = append(r.grpc, lab.NewGRPCOrigin(r.t))
}

// publish tells the proxy of all backends, of which one is draining.
func (r *rollout) publish(draining int) {
	r.t.Helper()
	web := &pb.Cluster{Name: "web", Protocol: pb.Cluster_HTTP1}
	grpc := &pb.Cluster{Name: "grpc", Protocol: pb.Cluster_HTTP2}
	for i := range r.web {
		web.Endpoints = append(web.Endpoints, &pb.Endpoint{Address: r.web[i].Addr, Draining: i == draining})
		grpc.Endpoints = append(grpc.Endpoints, &pb.Endpoint{Address: r.grpc[i].Addr, Draining: i == draining})
	}
	more := &pb.Cluster{Name: "web-0", Protocol: pb.Cluster_HTTP1, Endpoints: web.GetEndpoints()}
	r.acknowledged(r.server.Set(web, grpc, more))
}

// waitIdle waits until the oldest backends get nothing any more.
func (r *rollout) waitIdle() {
	r.t.Helper()
	var seen []string
	lab.Until(r.t, "a draining backend gets nothing", func() bool {
		count := fmt.Sprint(r.web[0].Requests.Load(), r.grpc[0].Requests.Load())
		seen = append(seen, count)
		time.Sleep(10 * time.Millisecond)
		n := len(seen)
		return r.web[0].Active.Load() == 0 && n > 3 && len(slices.Compact(slices.Clone(seen[n-3:]))) == 1
	})
}
