package compare

import (
	"slices"

	"github.com/tatami-platform/tatami/internal/core/unit"
)

// DiffKind heads a [Diff].
const DiffKind = "PlanDiff"

// Diff is what differs between two reports. Its JSON form is a contract, in the
// same schema as the report's.
type Diff struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	A          Side   `json:"a"`
	B          Side   `json:"b"`
	// Different says whether any figure differs.
	Different  bool       `json:"different"`
	Strategies []Change   `json:"strategies"`
	Inputs     []InputRow `json:"inputs"`
}

// Side is one of the two reports.
type Side struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
}

// Change is one strategy in both; a side that lacks it is null.
type Change struct {
	ID   ID     `json:"id"`
	Name string `json:"name"`
	A    *Terms `json:"a"`
	B    *Terms `json:"b"`
	// MonthlyDeltaUSD is b less a; 0 unless both have the strategy.
	MonthlyDeltaUSD unit.NanoUSD `json:"monthlyDeltaUSD"`
}

// Terms are what is compared of a strategy.
type Terms struct {
	HourlyUSD  unit.NanoUSD `json:"hourlyUSD"`
	MonthlyUSD unit.NanoUSD `json:"monthlyUSD"`
	NodeCount  int          `json:"nodeCount"`
	Pending    int          `json:"pending"`
}

// InputRow is a figure of the input in both.
type InputRow struct {
	Field string `json:"field"`
	A     int64  `json:"a"`
	B     int64  `json:"b"`
}

// Difference compares two reports.
func Difference(a, b Report) Diff {
	d := Diff{
		APIVersion: APIVersion, Kind: DiffKind,
		A: Side{a.Inputs.Name, a.Digest}, B: Side{b.Inputs.Name, b.Digest}, Strategies: []Change{},
	}
	for _, id := range IDs() {
		x, y := a.Find(id), b.Find(id)
		if x == nil && y == nil {
			continue
		}
		c := Change{ID: id, A: terms(x), B: terms(y)}
		if x != nil {
			c.Name = x.Name
		}
		if y != nil {
			c.Name = y.Name
		}
		if x != nil && y != nil {
			c.MonthlyDeltaUSD = y.MonthlyUSD - x.MonthlyUSD
		}
		d.Different = d.Different || c.A == nil || c.B == nil || *c.A != *c.B
		d.Strategies = append(d.Strategies, c)
	}
	d.Inputs = []InputRow{
		{"workloads", int64(a.Inputs.Workloads), int64(b.Inputs.Workloads)},
		{"pods", int64(a.Inputs.Pods), int64(b.Inputs.Pods)},
		{"cpuMillis", a.Inputs.CPUMillis, b.Inputs.CPUMillis},
		{"memoryBytes", a.Inputs.MemoryBytes, b.Inputs.MemoryBytes},
	}
	d.Different = d.Different || slices.ContainsFunc(d.Inputs, func(r InputRow) bool { return r.A != r.B })
	return d
}

func terms(s *Strategy) *Terms {
	if s == nil {
		return nil
	}
	return &Terms{s.HourlyUSD, s.MonthlyUSD, s.NodeCount, pendingPods(s)}
}
