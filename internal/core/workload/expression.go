package workload

import (
	"maps"
	"math"
	"slices"
	"strconv"
)

// Expression is one line of a node selector, a label selector or a NodePool.
type Expression struct {
	Key      string
	Operator Operator
	Values   []string
}

// Expressions takes requirements apart into lines that together say the same,
// with operators that node affinity knows, in the order of the keys. MinValues has no place in them.
func (rs Requirements) Expressions() []Expression {
	var out []Expression
	for _, key := range slices.Sorted(maps.Keys(rs)) {
		for _, e := range rs[key].expressions() {
			e.Key = key
			out = append(out, e)
		}
	}
	return out
}

func (r Requirement) expressions() []Expression {
	switch {
	case r.Empty() && r.optional:
		return []Expression{{Operator: DoesNotExist}}
	case r.Empty(): // no line says so by itself
		return []Expression{{Operator: DoesNotExist}, {Operator: Exists}}
	case !r.complement:
		return []Expression{{Operator: In, Values: r.values}}
	}
	var out []Expression
	if len(r.values) > 0 {
		out = append(out, Expression{Operator: NotIn, Values: r.values})
	}
	if !r.optional {
		out = append(out, Expression{Operator: Exists})
	}
	if r.integer {
		out = append(out, r.span()...)
	}
	return out
}

// span says in which range an integer lies.
func (r Requirement) span() []Expression {
	if r.low == math.MinInt64 && r.high == math.MaxInt64 {
		// Any integer: only Karpenter's operator says so.
		return []Expression{{Operator: Gte, Values: []string{strconv.FormatInt(r.low, 10)}}}
	}
	var out []Expression
	if r.low > math.MinInt64 {
		out = append(out, Expression{Operator: Gt, Values: []string{strconv.FormatInt(r.low-1, 10)}})
	}
	if r.high < math.MaxInt64 {
		out = append(out, Expression{Operator: Lt, Values: []string{strconv.FormatInt(r.high+1, 10)}})
	}
	return out
}
