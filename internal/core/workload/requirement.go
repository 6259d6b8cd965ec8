package workload

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Operator relates a label to values, as in node affinity and in NodePools.
type Operator string

// The operators. Gte and Lte are Karpenter's.
const (
	In           Operator = "In"
	NotIn        Operator = "NotIn"
	Exists       Operator = "Exists"
	DoesNotExist Operator = "DoesNotExist"
	Gt           Operator = "Gt"
	Lt           Operator = "Lt"
	Gte          Operator = "Gte"
	Lte          Operator = "Lte"
)

// ErrRequirement is wrapped by errors of [NewRequirement].
var ErrRequirement = errors.New("not a requirement")

// Requirement is the set of values that one label may have, and whether it may
// be missing. The zero value allows nothing at all.
type Requirement struct {
	// complement says that values lists what is refused, not what is allowed.
	complement bool
	values     []string // sorted, unique; never written to after it is made
	// integer says that a value must be an integer from low to high. It goes with
	// complement only: a list of allowed values is filtered at once.
	integer   bool
	low, high int64
	// optional says that a node without the label will do.
	optional bool
	// MinValues is how many values must stay possible (NodePools only).
	MinValues int
}

// NewRequirement makes a requirement of an operator and its values. It refuses
// what the API server refuses.
func NewRequirement(op Operator, values ...string) (Requirement, error) {
	switch op {
	case In, NotIn:
		if len(values) == 0 {
			return Requirement{}, fmt.Errorf("operator %s without values: %w", op, ErrRequirement)
		}
		if op == In {
			return OneOf(values...), nil
		}
		return NoneOf(values...), nil
	case Exists, DoesNotExist:
		if len(values) > 0 {
			return Requirement{}, fmt.Errorf("operator %s takes no values: %w", op, ErrRequirement)
		}
		return Requirement{complement: op == Exists, optional: op == DoesNotExist}, nil
	case Gt, Lt, Gte, Lte:
		if len(values) != 1 {
			return Requirement{}, fmt.Errorf("operator %s takes one integer, not %d values: %w", op, len(values), ErrRequirement)
		}
		n, err := strconv.ParseInt(values[0], 10, 64)
		if err != nil {
			return Requirement{}, fmt.Errorf("operator %s takes an integer, not %q: %w", op, values[0], ErrRequirement)
		}
		return bound(op, n), nil
	}
	return Requirement{}, fmt.Errorf("operator %q: %w", op, ErrRequirement)
}

// bound is an open or closed end at n. Beyond the largest integer there is
// nothing, and nothing below the smallest.
func bound(op Operator, n int64) Requirement {
	r := Requirement{complement: true, integer: true, low: math.MinInt64, high: math.MaxInt64}
	switch {
	case op == Gt && n == math.MaxInt64, op == Lt && n == math.MinInt64:
		return Requirement{}
	case op == Gt:
		r.low = n + 1
	case op == Gte:
		r.low = n
	case op == Lt:
		r.high = n - 1
	default:
		r.high = n
	}
	return r
}

// OneOf allows the values given.
func OneOf(values ...string) Requirement { return Requirement{values: set(values)} }

// NoneOf allows all but the values given, and a missing label.
func NoneOf(values ...string) Requirement {
	return Requirement{complement: true, optional: true, values: set(values)}
}

func set(values []string) []string {
	if len(values) == 1 {
		return values[:1:1]
	}
	return slices.Compact(slices.Sorted(slices.Values(values)))
}

// Has says whether the label may have this value.
func (r Requirement) Has(value string) bool {
	if r.integer && !r.inRange(value) {
		return false
	}
	if len(r.values) == 1 { // the most common one, by far
		return (r.values[0] == value) != r.complement
	}
	_, listed := slices.BinarySearch(r.values, value)
	return listed != r.complement
}

func (r Requirement) inRange(value string) bool {
	n, err := strconv.ParseInt(value, 10, 64)
	return err == nil && r.low <= n && n <= r.high
}

// Allows is [Requirement.Has] for a label that may be missing.
func (r Requirement) Allows(value string, present bool) bool {
	if !present {
		return r.optional
	}
	return r.Has(value)
}

// Values lists the allowed values in order; ok is false when they are not a
// finite list. The caller must not write to it.
func (r Requirement) Values() (values []string, ok bool) { return r.values, !r.complement }

// Optional says that a node without the label will do.
func (r Requirement) Optional() bool { return r.optional }

// Empty says that no value is allowed; the label may still be missing.
func (r Requirement) Empty() bool { return !r.complement && len(r.values) == 0 }

// Intersect allows what both allow.
func (r Requirement) Intersect(o Requirement) Requirement {
	out := Requirement{optional: r.optional && o.optional, MinValues: max(r.MinValues, o.MinValues)}
	if r.complement && o.complement {
		out.integer = r.integer || o.integer
		out.low, out.high = r.within(o)
		if out.integer && out.low > out.high {
			return Requirement{MinValues: out.MinValues}
		}
		out.complement = true
		out.values = union(r.values, o.values)
		if out.integer {
			out.values = slices.DeleteFunc(slices.Clone(out.values), func(v string) bool { return !out.inRange(v) })
		}
		return out
	}
	if r.complement {
		r, o = o, r
	}
	out.values = kept(r.values, o)
	return out
}

// within is the range that both leave.
func (r Requirement) within(o Requirement) (low, high int64) {
	switch {
	case !r.integer:
		return o.low, o.high
	case !o.integer:
		return r.low, r.high
	}
	return max(r.low, o.low), min(r.high, o.high)
}

// kept are the values that o allows; the same slice when it allows all.
func kept(values []string, o Requirement) []string {
	for i, v := range values {
		if o.Has(v) {
			continue
		}
		rest := slices.Clone(values[:i])
		for _, w := range values[i+1:] {
			if o.Has(w) {
				rest = append(rest, w)
			}
		}
		return rest
	}
	return values
}

func union(a, b []string) []string {
	switch {
	case len(a) == 0:
		return b
	case len(b) == 0:
		return a
	}
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(a, b))))
}

// Overlaps says whether some value, or a missing label, is allowed by both. It
// is Intersect without making the intersection.
func (r Requirement) Overlaps(o Requirement) bool {
	if r.optional && o.optional {
		return true
	}
	if r.complement && o.complement {
		low, high := r.within(o)
		return !r.integer && !o.integer || low <= high
	}
	if r.complement {
		r, o = o, r
	}
	return slices.ContainsFunc(r.values, o.Has)
}

// shown is how many values String lists.
const shown = 5

// String is the requirement as people write it, e.g. "In [a b]".
func (r Requirement) String() string {
	var parts []string
	switch {
	case r.Empty() && r.optional:
		return string(DoesNotExist)
	case r.Empty():
		return "impossible"
	case !r.complement:
		return list(In, r.values)
	case r.integer:
		parts = r.ends()
	case !r.optional:
		parts = append(parts, string(Exists))
	case len(r.values) == 0:
		return "anything"
	}
	if len(r.values) > 0 {
		parts = append(parts, list(NotIn, r.values))
	}
	return strings.Join(parts, " and ")
}

// ends are the bounds of an integer.
func (r Requirement) ends() []string {
	low, high := strconv.FormatInt(r.low, 10), strconv.FormatInt(r.high, 10)
	switch {
	case r.low == r.high:
		return []string{list(In, []string{low})}
	case r.low == math.MinInt64 && r.high == math.MaxInt64:
		return []string{"an integer"}
	case r.low == math.MinInt64:
		return []string{string(Lte) + " " + high}
	case r.high == math.MaxInt64:
		return []string{string(Gte) + " " + low}
	}
	return []string{string(Gte) + " " + low, string(Lte) + " " + high}
}

func list(op Operator, values []string) string {
	more := ""
	if n := len(values) - shown; n > 0 {
		values, more = values[:shown], fmt.Sprintf(" and %d more", n)
	}
	return string(op) + " [" + strings.Join(values, " ") + more + "]"
}
