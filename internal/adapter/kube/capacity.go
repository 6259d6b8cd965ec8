package kube

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/tatami-platform/tatami/internal/adapter/kube/manifest"
	"github.com/tatami-platform/tatami/internal/control"
)

// addCapacity takes objects that are nodes, or say which may be bought.
func (inv *inventory) addCapacity(group string, o manifest.Object) (found bool, err error) {
	switch group + "/" + o.Kind {
	case "/Node":
		err = take(inv, o, func(n *corev1.Node) { inv.nodes = append(inv.nodes, n) })
	case "karpenter.sh/NodePool":
		err = take(inv, o, func(p *nodePool) { inv.pools = append(inv.pools, p) })
	case "karpenter.k8s.aws/EC2NodeClass":
		err = loose(inv, o, func(c *nodeClass) { inv.nodeClasses[c.Name] = c })
	case "eksctl.io/ClusterConfig":
		err = loose(inv, o, func(c *clusterConfig) { inv.clusters = append(inv.clusters, c) })
	default:
		return false, nil
	}
	return true, err
}

// capacity fills in pools, node groups, nodes and how they are set up.
func (inv *inventory) capacity(d *control.Demand, now time.Time) error {
	s := &d.Snapshot
	for _, p := range inv.pools {
		pool, err := inv.pool(p, now)
		if err != nil {
			return err
		}
		s.Pools = append(s.Pools, pool)
	}
	s.Kubelet = inv.kubelet()
	s.NodeGroups = inv.nodeGroups()
	for _, c := range inv.clusters {
		s.Region = c.Metadata.Region
	}
	for _, n := range inv.nodes {
		s.Nodes = append(s.Nodes, node(n))
		if region := s.Nodes[len(s.Nodes)-1].Offering.Region; region != "" {
			s.Region = region
		}
	}
	return nil
}

// cutLast is strings.Cut at the last separator.
func cutLast(s, sep string) (before, after string) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):]
	}
	return s, ""
}
