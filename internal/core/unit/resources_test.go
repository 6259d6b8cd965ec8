package unit_test

import (
	"math"
	"testing"

	"github.com/tatami-platform/tatami/internal/core/unit"
)

func TestText(t *testing.T) {
	tests := []struct{ got, want string }{
		{unit.MilliCPU(250).String(), "250m"},
		{unit.Cores(2).String(), "2"},
		{unit.MilliCPU(0).String(), "0"},
		{unit.MilliCPU(-1500).String(), "-1500m"},
		{unit.Bytes(0).String(), "0"},
		{(3 * unit.GiB).String(), "3Gi"},
		{(1536 * unit.MiB).String(), "1536Mi"},
		{(2 * unit.TiB).String(), "2Ti"},
		{unit.Bytes(1000).String(), "1000"},
		{(5 * unit.KiB).String(), "5Ki"},
		{unit.Cores(math.MaxInt).String(), "9223372036854775807m"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s, want %s", tt.got, tt.want)
		}
	}
}

func gpus(n int64) map[string]int64 { return map[string]int64{"nvidia.com/gpu": n} }

func TestResourcesArithmetic(t *testing.T) {
	a := unit.Resources{CPU: 1000, Memory: unit.GiB, Disk: 5, Pods: 1, Extended: gpus(1)}
	b := unit.Resources{CPU: 500, Memory: 2 * unit.GiB, Pods: 1, Extended: map[string]int64{"x": 2}}
	tests := []struct {
		name      string
		got, want unit.Resources
	}{
		{"sum", a.Plus(b), unit.Resources{CPU: 1500, Memory: 3 * unit.GiB, Disk: 5, Pods: 2, Extended: map[string]int64{"nvidia.com/gpu": 1, "x": 2}}},
		{"difference", a.Minus(b), unit.Resources{CPU: 500, Memory: -unit.GiB, Disk: 5, Extended: map[string]int64{"nvidia.com/gpu": 1, "x": -2}}},
		{"difference with itself", a.Minus(a), unit.Resources{}},
		{"larger", a.Max(b), unit.Resources{CPU: 1000, Memory: 2 * unit.GiB, Disk: 5, Pods: 1, Extended: map[string]int64{"nvidia.com/gpu": 1, "x": 2}}},
		{"multiple", a.Times(3), unit.Resources{CPU: 3000, Memory: 3 * unit.GiB, Disk: 15, Pods: 3, Extended: gpus(3)}},
		{"none of it", a.Times(0), unit.Resources{}},
		{"too much stops", unit.Resources{CPU: math.MaxInt64}.Times(2), unit.Resources{CPU: math.MaxInt64}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if !tt.got.Equal(tt.want) {
				t.Errorf("%+v, want %+v", tt.got, tt.want)
			}
		})
	}
	if a.Extended["nvidia.com/gpu"] != 1 || len(a.Extended) != 1 {
		t.Errorf("arithmetic wrote to its operand: %v", a.Extended)
	}
}

func TestResourcesFit(t *testing.T) {
	free := unit.Resources{CPU: 1000, Memory: 100, Disk: 10, Pods: 2, Extended: gpus(1)}
	tests := []struct {
		name  string
		need  unit.Resources
		short string
	}{
		{"nothing", unit.Resources{}, ""},
		{"all of it", free, ""},
		{"processor", unit.Resources{CPU: 1001}, "cpu"},
		{"memory", unit.Resources{Memory: 101}, "memory"},
		{"disk", unit.Resources{Disk: 11}, "ephemeral-storage"},
		{"places", unit.Resources{Pods: 3}, "pods"},
		{"extended", unit.Resources{Extended: gpus(2)}, "nvidia.com/gpu"},
		{"unknown extended", unit.Resources{Extended: map[string]int64{"b": 1, "a": 1}}, "a"},
		{"none of an unknown", unit.Resources{Extended: map[string]int64{"a": 0}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.need.Short(free); got != tt.short || tt.need.Fits(free) != (tt.short == "") {
				t.Errorf("%q, want %q", got, tt.short)
			}
		})
	}
}

func TestResourcesOrder(t *testing.T) {
	ordered := []unit.Resources{
		{},
		{Extended: gpus(1)},
		{Pods: 1},
		{Disk: 1},
		{Memory: 1, Pods: 5},
		{CPU: 1},
		{CPU: 1, Extended: gpus(1)},
	}
	for i, a := range ordered {
		for j, b := range ordered {
			want := min(max(i-j, -1), 1)
			if got := a.Compare(b); got != want {
				t.Errorf("%d with %d: %d, want %d", i, j, got, want)
			}
		}
	}
	if !(unit.Resources{Extended: gpus(0)}).Equal(unit.Resources{}) {
		t.Error("an extended resource of 0 differs from none")
	}
}

func TestResourcesGet(t *testing.T) {
	r := unit.Resources{CPU: 1, Memory: 2, Disk: 3, Pods: 4, Extended: gpus(5)}
	for name, want := range map[string]int64{"cpu": 1, "memory": 2, "ephemeral-storage": 3, "pods": 4, "nvidia.com/gpu": 5, "x": 0} {
		if got := r.Get(name); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
}
