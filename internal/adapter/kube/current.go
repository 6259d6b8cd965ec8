package kube

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/tatami-platform/tatami/internal/adapter/kube/manifest"
	"github.com/tatami-platform/tatami/internal/control"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

var errNodeList = errors.New("it is neither a file nor a list of machines")

// current reads the nodes of today: a file with Nodes, NodePools or an eksctl
// ClusterConfig, or a list of machines.
func (w Workloads) current(ctx context.Context, from string, d *control.Demand) error {
	if _, err := os.Stat(from); err != nil {
		groups, listErr := machines(from)
		if listErr != nil {
			return &control.Problem{
				What: "cannot read the nodes of today from " + strconv.Quote(from),
				Why:  listErr,
				Next: `name a file, or machines such as "3xm5.large,2xspot:c5.xlarge"`,
			}
		}
		d.Snapshot.NodeGroups = append(d.Snapshot.NodeGroups, groups...)
		return nil
	}
	set, err := manifest.ReadFile(ctx, from)
	if err != nil {
		return err
	}
	inv := newInventory("")
	if err := inv.addAll(set.Objects); err != nil {
		return err
	}
	var today control.Demand
	inv.capacity(&today, w.Now())
	to, s := &d.Snapshot, &today.Snapshot
	if len(s.Nodes)+len(s.NodeGroups)+len(s.Pools) == 0 {
		return &control.Problem{
			What: "there are no nodes in " + from,
			Next: "name a file with Nodes, as `kubectl get nodes -o yaml` prints them, with NodePools or with an eksctl ClusterConfig",
		}
	}
	to.Nodes = append(to.Nodes, s.Nodes...)
	to.NodeGroups = append(to.NodeGroups, s.NodeGroups...)
	to.Pools = append(to.Pools, s.Pools...)
	if to.Region == "" {
		to.Region = s.Region
	}
	if len(inv.nodeClasses) > 0 {
		to.Kubelet = s.Kubelet
	}
	d.NotCovered = append(d.NotCovered, append(set.Skipped, inv.notCovered...)...)
	return nil
}

// machines reads a list such as "3xm5.large,2xspot:c5.xlarge": how many of
// which type, on-demand unless spot is said. Each becomes a node group that may
// grow and shrink.
func machines(list string) ([]workload.NodeGroup, error) {
	form := regexp.MustCompile(`^(?:([0-9]{1,5})x)?(?:(spot|on-demand):)?([a-z][a-z0-9-]*\.[a-z0-9-]+)$`)
	var out []workload.NodeGroup
	for item := range strings.SplitSeq(list, ",") {
		m := form.FindStringSubmatch(strings.TrimSpace(item))
		if m == nil {
			return nil, fmt.Errorf("%q: %w", strings.TrimSpace(item), errNodeList)
		}
		n := 1
		if m[1] != "" {
			n, _ = strconv.Atoi(m[1]) // at most five digits
		}
		out = append(out, workload.NodeGroup{
			Name: strings.TrimSpace(item), Shapes: []string{m[3]}, Spot: m[2] == "spot", Max: max(maxNodes, n), Desired: n,
		})
	}
	return out, nil
}
