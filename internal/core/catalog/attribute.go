package catalog

import (
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/unit"
)

// Range is a pair of inclusive bounds.
type Range struct{ Min, Max float64 }

// ErrRange is wrapped by errors of [ParseRange].
var ErrRange = errors.New("not a range such as 4, 2..16, 4.. or ..8")

// ParseRange reads "4", "2..16", "4.." or "..8".
func ParseRange(s string) (Range, error) {
	low, high, two := strings.Cut(s, "..")
	if !two {
		high = low
	}
	r := Range{0, math.Inf(1)}
	for _, side := range []struct {
		text string
		to   *float64
	}{{low, &r.Min}, {high, &r.Max}} {
		if side.text == "" && two {
			continue
		}
		n, err := strconv.ParseFloat(side.text, 64)
		if err != nil || n < 0 || math.IsNaN(n) {
			return Range{}, fmt.Errorf("%q: %w", s, ErrRange)
		}
		*side.to = n
	}
	if low+high == "" {
		return Range{}, fmt.Errorf("%q: %w", s, ErrRange)
	}
	if r.Min > r.Max {
		return Range{}, fmt.Errorf("%q: %w: the first is larger than the second", s, ErrRange)
	}
	return r, nil
}

// String is the range in the form that ParseRange reads.
func (r Range) String() string {
	text := func(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }
	switch {
	case r.Min == r.Max:
		return text(r.Min)
	case math.IsInf(r.Max, 1):
		return text(r.Min) + ".."
	case r.Min == 0:
		return ".." + text(r.Max)
	}
	return text(r.Min) + ".." + text(r.Max)
}

// has says whether n lies in the range; a nil range has every number.
func (r *Range) has(n float64) bool { return r == nil || r.Min <= n && n <= r.Max }

// Presence says what to do with shapes that have a property.
type Presence string

// The presences; the empty one is Included.
const (
	Included Presence = "included"
	Excluded Presence = "excluded"
	Required Presence = "required"
)

func (p Presence) allows(has bool) bool {
	switch p {
	case Excluded:
		return !has
	case Required:
		return has
	case Included:
	}
	return true
}

// Attributes say which shapes may be bought, as EC2's InstanceRequirements do.
// The zero value allows all; EC2's own defaults differ: see [EC2Defaults].
// Empty lists and nil ranges mean any. Names are compared in lower case.
type Attributes struct {
	VCPUs         *Range
	MemoryMiB     *Range
	MemoryPerVCPU *Range // GiB
	Archs         []Arch
	// CPUManufacturers are "intel", "amd" and "aws"; EC2 says amazon-web-services
	// for the last, which is understood too.
	CPUManufacturers []string
	// Generations are "current" and "previous".
	Generations []string
	BareMetal   Presence
	Burstable   Presence
	// GPUs counts those alone, which EC2 cannot do. Accelerators counts GPUs and
	// others together. A maximum of 0 leaves out shapes that have one.
	GPUs                     *Range
	Accelerators             *Range
	AcceleratorTypes         []string // "gpu", "inference"
	AcceleratorManufacturers []string
	AcceleratorNames         []string
	AcceleratorTotalMiB      *Range
	LocalStorage             Presence
	LocalStorageGB           *Range
	NetworkInterfaces        *Range
	NetworkGbps              *Range
	EBSMbps                  *Range
	// Allowed and Excluded are names of types with * as wildcard.
	Allowed, Excluded []string
	EncryptsTransit   bool

	// Price protection, in percent; 0 is off. The first two leave out what costs
	// more than so much above the cheapest shape of the current generation of
	// the categories c, m and r that has the attributes; where there is none, of
	// any category, and then of any generation. The third bounds spot by a share
	// of the cheapest such shape's on-demand price, and excludes the first.
	SpotOverLowest, OnDemandOverLowest int
	SpotOfOnDemand                     int
}

// EC2Defaults are the attributes that EC2 assumes where a request names none:
// no metal, no burstable shapes, at most 100 % above the cheapest for spot and
// 20 % for on-demand.
func EC2Defaults() Attributes {
	return Attributes{BareMetal: Excluded, Burstable: Excluded, SpotOverLowest: 100, OnDemandOverLowest: 20}
}

// Allow says whether the shape has the attributes, whatever it costs.
func (a *Attributes) Allow(s *Shape) bool {
	return a.allowName(s.Name) && a.allowProcessor(s) && a.allowAccelerators(s) && a.allowAround(s)
}

func (a *Attributes) allowName(name string) bool {
	match := func(pattern string) bool { ok, _ := path.Match(pattern, name); return ok }
	return (len(a.Allowed) == 0 || slices.ContainsFunc(a.Allowed, match)) && !slices.ContainsFunc(a.Excluded, match)
}

func (a *Attributes) allowProcessor(s *Shape) bool {
	generation := "previous"
	if s.Current {
		generation = "current"
	}
	mib := float64(s.Memory / unit.MiB)
	vendor := anyOf(a.CPUManufacturers, s.Vendor) || s.Vendor == "aws" && slices.Contains(a.CPUManufacturers, "amazon-web-services")
	return a.VCPUs.has(float64(s.VCPU)) && a.MemoryMiB.has(mib) && a.MemoryPerVCPU.has(mib/1024/float64(s.VCPU)) &&
		anyOf(a.Archs, s.Arch) && vendor && anyOf(a.Generations, generation) &&
		a.BareMetal.allows(s.Metal) && a.Burstable.allows(s.Burstable)
}

func (a *Attributes) allowAccelerators(s *Shape) bool {
	named := len(a.AcceleratorTypes)+len(a.AcceleratorManufacturers)+len(a.AcceleratorNames) == 0
	gpus, gpuMiB := s.GPU.total()
	others, otherMiB := s.Accelerator.total()
	return (named || a.names(s.GPU, "gpu") || a.names(s.Accelerator, "inference")) &&
		a.GPUs.has(float64(gpus)) && a.Accelerators.has(float64(gpus+others)) && a.AcceleratorTotalMiB.has(gpuMiB+otherMiB)
}

// names says whether the accelerators are of a kind, maker and model asked for.
func (a *Attributes) names(of Accelerators, kind string) bool {
	return of.Name != "" && anyOf(a.AcceleratorTypes, kind) &&
		anyOf(a.AcceleratorManufacturers, of.Manufacturer) && anyOf(a.AcceleratorNames, of.Name)
}

// total counts accelerators and their memory. A share of one counts as one, or
// it could not be excluded.
func (a Accelerators) total() (count int, mib float64) {
	if a.Name == "" {
		return 0, 0
	}
	count = max(a.Count, 1)
	return count, float64(count) * float64(a.Memory/unit.MiB)
}

func (a *Attributes) allowAround(s *Shape) bool {
	return a.LocalStorage.allows(s.LocalDisk > 0) && a.LocalStorageGB.has(float64(s.LocalDisk/unit.GB)) &&
		a.NetworkInterfaces.has(float64(s.MaxENIs)) && a.NetworkGbps.has(float64(s.NetworkMbps)/1000) &&
		a.EBSMbps.has(float64(s.EBSMbps)) && (!a.EncryptsTransit || s.EncryptsTransit)
}

// anyOf says whether list has v, or nothing at all.
func anyOf[T comparable](list []T, v T) bool { return len(list) == 0 || slices.Contains(list, v) }
