package nodes

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// Machine is one that can be had, as far as it matters to one pod alone.
type Machine struct {
	From   string // pool or node group
	Labels map[string]string
	Taints []workload.Taint
	Free   unit.Resources      // beside DaemonSets
	Ports  []workload.HostPort // of DaemonSets
}

// Explain says why no machine takes a pod of the group, as the end of a
// sentence: constraints are applied one after the other, and the one that rules
// out the last machine is named. It is "" when some machine takes it.
func Explain(g *workload.Group, left []Machine) string {
	last, left := left, keepIf(left, func(m Machine) bool { _, kept := workload.Untolerated(g.Tolerations, m.Taints); return !kept })
	if len(left) == 0 && len(last) > 0 {
		t, _ := workload.Untolerated(g.Tolerations, last[0].Taints)
		return fmt.Sprintf("the taint %s of %s is not tolerated", t.Key, last[0].From)
	}
	if len(g.Alternatives) == 1 {
		for _, k := range slices.Sorted(maps.Keys(g.Alternatives[0])) {
			r := g.Alternatives[0][k]
			left = keepIf(left, func(m Machine) bool { v, ok := m.Labels[k]; return r.Allows(v, ok) })
			if len(left) == 0 {
				return fmt.Sprintf("%s must be %s", k, r.String())
			}
		}
	}
	if left = keepIf(left, func(m Machine) bool { return Refusal(g, m.Labels, m.Taints) == "" }); len(left) == 0 {
		return "no machine meets any of its node affinity terms"
	}
	if left = keepIf(left, func(m Machine) bool { return !workload.PortsConflict(g.HostPorts, m.Ports) }); len(left) == 0 {
		return "a host port is taken by a DaemonSet on every node"
	}
	return tooLarge(g, left)
}

func keepIf(all []Machine, meets func(Machine) bool) []Machine {
	return slices.DeleteFunc(slices.Clone(all), func(m Machine) bool { return !meets(m) })
}

// tooLarge names the resource that is short on the machines with most of it.
func tooLarge(g *workload.Group, left []Machine) string {
	var most unit.Resources
	for _, m := range left {
		if g.Requests.Fits(m.Free) {
			return ""
		}
		most = most.Max(m.Free)
	}
	if short := g.Requests.Short(most); short != "" {
		return fmt.Sprintf("requests %s of %s, and the most that an allowed machine leaves is %s",
			amount(short, g.Requests.Get(short)), short, amount(short, most.Get(short)))
	}
	return "no allowed machine has as much of everything as one pod requests"
}

func amount(resource string, n int64) string {
	switch resource {
	case "cpu":
		return strconv.FormatFloat(float64(n)/1000, 'f', -1, 64)
	case "memory", "ephemeral-storage":
		return fmt.Sprintf("%.1f GiB", float64(n)/float64(unit.GiB))
	}
	return strconv.FormatInt(n, 10)
}
