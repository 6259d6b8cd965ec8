package nodestest

import (
	"fmt"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// Zones are those of the snapshots made here.
func Zones() []string { return []string{"us-east-1a", "us-east-1b", "us-east-1c"} }

// Market says which offers are made. The zero value takes all of them on
// demand.
type Market struct {
	// MaxVCPU is the largest machine; 0 takes all.
	MaxVCPU int
	// ARM takes Graviton beside x86, Spot sells every machine that way too.
	ARM, Spot bool
}

// family is a line of machines whose price is linear in size.
type family struct {
	name     string
	ratio    unit.Bytes // memory of a core
	perCore  float64    // dollars per hour
	largest  int        // cores
	discount int        // of spot, in percent
	band     catalog.Band
}

func families() []family {
	return []family{
		{"c5", 2, 0.0425, 96, 62, 1},
		{"c6i", 2, 0.0425, 128, 58, 0},
		{"c6a", 2, 0.03825, 192, 57, 1},
		{"c6g", 2, 0.034, 64, 60, 0},
		{"c7i", 2, 0.044625, 192, 55, 2},
		{"c7a", 2, 0.05132, 192, 66, 0},
		{"c7g", 2, 0.03625, 64, 58, 1},
		{"m5", 4, 0.048, 96, 60, 1},
		{"m6i", 4, 0.048, 128, 62, 0},
		{"m6a", 4, 0.0432, 192, 59, 1},
		{"m6g", 4, 0.0385, 64, 63, 0},
		{"m7i", 4, 0.0504, 192, 57, 2},
		{"m7a", 4, 0.05796, 192, 68, 0},
		{"m7g", 4, 0.0408, 64, 57, 1},
		{"r5", 8, 0.063, 96, 66, 1},
		{"r6i", 8, 0.063, 128, 68, 0},
		{"r6a", 8, 0.0567, 192, 64, 1},
		{"r6g", 8, 0.0504, 64, 65, 0},
		{"r7i", 8, 0.06615, 192, 60, 2},
		{"r7a", 8, 0.076075, 192, 71, 0},
		{"r7g", 8, 0.05355, 64, 60, 1},
	}
}

// Offers lists machines of 21 families in the three zones. Spot prices differ a
// little from zone to zone.
func Offers(m Market) []catalog.Offering {
	var out []catalog.Offering
	for _, f := range families() {
		arm := strings.HasSuffix(f.name, "g")
		if arm && !m.ARM {
			continue
		}
		for _, cores := range []int{2, 4, 8, 16, 32, 48, 64, 96, 128, 192} {
			if cores > f.largest || m.MaxVCPU > 0 && cores > m.MaxVCPU {
				continue
			}
			shape := f.shape(cores, arm)
			price := unit.NanoUSD(f.perCore*float64(cores)*1e6+0.5) * 1000
			for i, zone := range Zones() {
				o := catalog.Offering{Shape: shape, Region: "us-east-1", Zone: zone, Capacity: catalog.OnDemand, Price: price}
				out = append(out, o)
				if m.Spot {
					o.Capacity, o.Band = catalog.Spot, f.band
					o.Price = price.MulDiv(int64(100-f.discount+2*i), 100)
					out = append(out, o)
				}
			}
		}
	}
	return out
}

func (f family) shape(cores int, arm bool) *catalog.Shape {
	size := "large"
	switch {
	case cores == 4:
		size = "xlarge"
	case cores > 4:
		size = fmt.Sprintf("%dxlarge", cores/4)
	}
	s := &catalog.Shape{
		Name: f.name + "." + size, Family: f.name, Size: size, Category: f.name[:1], Generation: int(f.name[1] - '0'),
		Arch: catalog.AMD64, Vendor: "intel", VCPU: cores, Memory: f.ratio * unit.Bytes(cores) * unit.GiB,
		NetworkMbps: 12500, EBSMbps: 10000, Hypervisor: "nitro", Current: true,
	}
	switch {
	case arm:
		s.Arch, s.Vendor = catalog.ARM64, "aws"
	case strings.HasSuffix(f.name, "a"):
		s.Vendor = "amd"
	}
	switch {
	case cores <= 2:
		s.MaxENIs, s.IPv4PerENI = 3, 10
	case cores <= 4:
		s.MaxENIs, s.IPv4PerENI = 4, 15
	case cores <= 8:
		s.MaxENIs, s.IPv4PerENI = 4, 15
	case cores <= 48:
		s.MaxENIs, s.IPv4PerENI = 8, 30
	default:
		s.MaxENIs, s.IPv4PerENI = 15, 50
	}
	s.MaxPods = s.MaxENIs*(s.IPv4PerENI-1) + 2
	return s
}

// Pool takes every offer, on one architecture unless the market has both.
func Pool(m Market) workload.Pool {
	p := workload.Pool{Name: "default", Requirements: workload.Requirements{}}
	if !m.ARM {
		p.Requirements.Add(catalog.LabelArch, workload.OneOf(string(catalog.AMD64)))
	}
	if !m.Spot {
		p.Requirements.Add(catalog.LabelCapacity, workload.OneOf(string(catalog.OnDemand)))
	}
	return p
}
