package workload

import (
	"encoding/binary"
	"maps"
	"slices"
	"strings"
)

// AppendShape appends what a scheduler knows of a pod by itself: equal bytes
// mean that two groups' pods ask for the same and are bound by the same
// constraints. Owner, labels and numbers are left out; see [Lens.Key] for the
// part that labels play. The order in which constraints are listed is no
// difference.
func AppendShape(b []byte, g *Group) []byte {
	r := g.Requests
	for _, n := range [...]int64{int64(r.CPU), int64(r.Memory), int64(r.Disk), r.Pods, int64(g.Priority), int64(g.Restart), flags(g)} {
		b = binary.AppendVarint(b, n)
	}
	b = appendAmounts(b, r.Extended)
	b = appendSet(b, g.Alternatives, appendRequirements)
	b = appendSet(b, g.Preferred, func(b []byte, p Preference) []byte {
		return appendRequirements(binary.AppendVarint(b, int64(p.Weight)), p.Requirements)
	})
	b = appendSet(b, g.Tolerations, func(b []byte, t Toleration) []byte {
		return appendStrings(append(b, bit(t.Exists)), t.Key, t.Value, string(t.Effect))
	})
	b = appendSet(b, g.HostPorts, func(b []byte, p HostPort) []byte {
		return appendStrings(binary.AppendVarint(b, int64(p.Port)), p.IP, p.Protocol)
	})
	b = appendSet(b, g.Spread, func(b []byte, s Spread) []byte {
		b = append(b, bit(s.Required), bit(s.IgnoreAffinity), bit(s.HonorTaints))
		b = binary.AppendVarint(binary.AppendVarint(b, int64(s.MaxSkew)), int64(s.MinDomains))
		return appendSelector(appendStrings(b, s.TopologyKey, g.Owner.Namespace), s.Selector)
	})
	for _, terms := range [][]PodTerm{g.Affinity, g.AntiAffinity} {
		b = appendSet(b, terms, func(b []byte, t PodTerm) []byte { return appendTerm(b, g, t) })
	}
	return b
}

func flags(g *Group) int64 { return int64(bit(g.DoNotDisrupt)) | int64(bit(g.Batch))<<1 }

func appendTerm(b []byte, g *Group, t PodTerm) []byte {
	b = binary.AppendVarint(append(b, bit(t.AllNamespaces)), int64(t.Weight))
	b = appendStrings(b, t.TopologyKey)
	if !t.AllNamespaces {
		b = appendSet(b, t.in(g), func(b []byte, name string) []byte { return appendStrings(b, name) })
	}
	return appendSelector(b, t.Selector)
}

// in are the namespaces in which a term of a group looks.
func (t PodTerm) in(g *Group) []string {
	if len(t.Namespaces) == 0 {
		return []string{g.Owner.Namespace}
	}
	return t.Namespaces
}

// appendSet appends items in an order of their own, each of them once.
func appendSet[T any](b []byte, items []T, item func([]byte, T) []byte) []byte {
	if len(items) < 2 {
		b = append(b, byte(len(items)))
		for _, i := range items {
			b = item(b, i)
		}
		return b
	}
	keys := make([]string, len(items))
	for i := range items {
		keys[i] = string(item(nil, items[i]))
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	b = binary.AppendUvarint(b, uint64(len(keys)))
	for _, k := range keys {
		b = appendStrings(b, k)
	}
	return b
}

func appendAmounts(b []byte, amounts map[string]int64) []byte {
	if len(amounts) == 0 {
		return append(b, 0)
	}
	for _, name := range slices.Sorted(maps.Keys(amounts)) {
		if n := amounts[name]; n != 0 {
			b = binary.AppendVarint(appendStrings(append(b, 1), name), n)
		}
	}
	return append(b, 0)
}

func appendSelector(b []byte, s Selector) []byte {
	if s.Everything {
		return append(b, 1)
	}
	return appendRequirements(append(b, 0), s.Requirements)
}

// Key is equal for requirements that say the same, and for no others; it is not
// for people. String is for them, and shortens long lists.
func (rs Requirements) Key() string { return string(appendRequirements(nil, rs)) }

// Chooses says whether a term of owner is about the pods of another group.
func (t PodTerm) Chooses(owner, pods *Group) bool {
	return (t.AllNamespaces || slices.Contains(t.in(owner), pods.Owner.Namespace)) && t.Selector.Matches(pods.Labels)
}

func appendRequirements(b []byte, rs Requirements) []byte {
	b = binary.AppendUvarint(b, uint64(len(rs)))
	if len(rs) == 1 {
		for key, r := range rs {
			return appendRequirement(appendStrings(b, key), r)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(rs)) {
		b = appendRequirement(appendStrings(b, key), rs[key])
	}
	return b
}

func appendRequirement(b []byte, r Requirement) []byte {
	b = append(b, bit(r.complement)|bit(r.optional)<<1|bit(r.integer)<<2)
	if r.integer {
		b = binary.AppendVarint(binary.AppendVarint(b, r.low), r.high)
	}
	b = binary.AppendVarint(b, int64(r.MinValues))
	b = binary.AppendUvarint(b, uint64(len(r.values)))
	return appendStrings(b, r.values...)
}

// appendStrings keeps strings apart by their lengths.
func appendStrings(b []byte, list ...string) []byte {
	for _, s := range list {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return b
}

// AppendLabels appends labels in the order of their keys.
func AppendLabels(b []byte, labels map[string]string) []byte {
	var few [16]string // most pods have fewer labels, and this stays on the stack
	keys := few[:0]
	for key := range labels {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, strings.Compare)
	b = binary.AppendUvarint(b, uint64(len(keys)))
	for _, key := range keys {
		b = appendStrings(b, key, labels[key])
	}
	return b
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}
