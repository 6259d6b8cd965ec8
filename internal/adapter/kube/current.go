package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/tatami-platform/tatami/internal/adapter/kube/manifest"
	"github.com/tatami-platform/tatami/internal/control"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

var (
	errNodeList  = errors.New("it is neither a file nor a list of machines")
	errNoFile    = errors.New("there is no such file")
	errNodeCount = errors.New("the count is at least 1 and at most 99999")
	errNodeType  = errors.New("this is not the name of an instance type")
)

// maxListed is how many machines one item of a list may have: as errNodeCount
// says.
const maxListed = 99_999

// current reads the nodes of today: a file with Nodes, NodePools or an eksctl
// ClusterConfig, or a list of machines.
func (w Workloads) current(ctx context.Context, from string, d *control.Demand) error {
	if _, err := os.Stat(from); err != nil {
		groups, err := machines(from)
		if namesFile(from) {
			err = errNoFile
		}
		if err != nil {
			return &control.Problem{
				What: "cannot read the nodes of today from " + strconv.Quote(from),
				Why:  err,
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
	if err := inv.capacity(&today, w.Now()); err != nil {
		return err
	}
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

// namesFile says that somebody means a file, even if it is not there.
func namesFile(from string) bool {
	switch strings.ToLower(filepath.Ext(from)) {
	case ".yaml", ".yml", ".json", ".csv":
		return true
	}
	return strings.ContainsAny(from, `/\`)
}

// machines reads a list such as "3xm5.large,2xspot:c5.xlarge": how many of
// which type, on-demand unless spot is said. Each becomes a node group that may
// grow and shrink.
func machines(list string) ([]workload.NodeGroup, error) {
	form := regexp.MustCompile(`^(?:([0-9]+)x)?(?:(spot|on-demand):)?([a-z0-9-]+\.[a-z0-9-]+)$`)
	const family, size = `[a-z][a-z-]*[0-9][a-z0-9-]*`, `nano|micro|small|medium|[0-9]*x?large|metal(?:-[0-9]+xl)?`
	known := regexp.MustCompile(`^` + family + `\.(?:` + size + `)$`)
	var out []workload.NodeGroup
	for item := range strings.SplitSeq(list, ",") {
		item = strings.TrimSpace(item)
		m := form.FindStringSubmatch(item)
		if m == nil {
			return nil, fmt.Errorf("%q: %w", item, errNodeList)
		}
		if !known.MatchString(m[3]) {
			return nil, fmt.Errorf("%q: %w", m[3], errNodeType)
		}
		n, err := strconv.Atoi(cmp.Or(m[1], "1"))
		if err != nil || n < 1 || n > maxListed {
			return nil, fmt.Errorf("%q: %w", item, errNodeCount)
		}
		out = append(out, workload.NodeGroup{
			Name: item, Shapes: []string{m[3]}, Spot: m[2] == "spot", Max: max(maxNodes, n), Desired: n,
		})
	}
	return out, nil
}
