package nodes

import (
	"strings"

	"github.com/tatami-platform/tatami/internal/core/workload"
)

// selection is what one selector chooses in its namespaces. The key is equal for
// selectors that say the same.
type selection struct {
	key    string
	groups []bool // by group
}

// selection of a term as its owner means it: in its own namespace, unless it
// names others. Many groups share one; each is worked out once.
func (c *compiler) selection(owner *workload.Group, t workload.PodTerm) selection {
	scope := t.Namespaces
	if len(scope) == 0 {
		scope = []string{owner.Owner.Namespace}
	}
	key := selectorKey(t.Selector, scope, t.AllNamespaces)
	if groups, known := c.selections[key]; known {
		return selection{key, groups}
	}
	groups := make([]bool, len(c.s.Demand))
	for g := range c.s.Demand {
		groups[g] = t.Chooses(owner, &c.s.Demand[g])
	}
	c.selections[key] = groups
	return selection{key, groups}
}

func selectorKey(sel workload.Selector, namespaces []string, all bool) string {
	key := sel.Requirements.Key()
	if sel.Everything {
		key = "*"
	}
	if all {
		return key + "@*"
	}
	return key + "@" + strings.Join(namespaces, "@")
}
