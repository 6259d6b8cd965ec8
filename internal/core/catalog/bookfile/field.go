package bookfile

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/unit"
)

// none stands for an empty value: an empty cell means that the file does not
// say.
const none = "-"

// field is a column about a shape.
type field struct {
	name string
	get  func(*catalog.Shape) string
	set  func(*catalog.Shape, string) error
}

// The columns about a price; the first two say what a row is about.
const (
	colType     = "type"
	colRegion   = "region"
	colOnDemand = "onDemandUSDHour"
	colSpot     = "spotUSDHour"
	colSaving   = "spotSavingPercent"
	colBand     = "interruptionBand"
	colZones    = "zones"
)

func priceColumns() []string {
	return []string{colType, colRegion, colOnDemand, colSpot, colSaving, colBand, colZones}
}

// shapeFields are the columns about a shape. What follows from its name has none.
func shapeFields() []field {
	type shape = catalog.Shape
	return []field{
		text("arch", func(s *shape) *string { return (*string)(&s.Arch) }, "amd64", "arm64"),
		text("vendor", func(s *shape) *string { return &s.Vendor }),
		count("vcpu", func(s *shape) *int { return &s.VCPU }),
		amount("memoryMiB", unit.MiB, func(s *shape) *unit.Bytes { return &s.Memory }),
		count("gpus", func(s *shape) *int { return &s.GPU.Count }),
		text("gpuName", func(s *shape) *string { return &s.GPU.Name }),
		text("gpuVendor", func(s *shape) *string { return &s.GPU.Manufacturer }),
		amount("gpuMemoryMiB", unit.MiB, func(s *shape) *unit.Bytes { return &s.GPU.Memory }),
		count("accelerators", func(s *shape) *int { return &s.Accelerator.Count }),
		text("acceleratorName", func(s *shape) *string { return &s.Accelerator.Name }),
		text("acceleratorVendor", func(s *shape) *string { return &s.Accelerator.Manufacturer }),
		amount("acceleratorMemoryMiB", unit.MiB, func(s *shape) *unit.Bytes { return &s.Accelerator.Memory }),
		amount("localDiskGB", unit.GB, func(s *shape) *unit.Bytes { return &s.LocalDisk }),
		count("networkMbps", func(s *shape) *int { return &s.NetworkMbps }),
		count("ebsMbps", func(s *shape) *int { return &s.EBSMbps }),
		text("hypervisor", func(s *shape) *string { return &s.Hypervisor }, "nitro", "xen"),
		count("clockMHz", func(s *shape) *int { return &s.ClockMHz }),
		count("enis", func(s *shape) *int { return &s.MaxENIs }),
		count("ipv4PerENI", func(s *shape) *int { return &s.IPv4PerENI }),
		count("maxPods", func(s *shape) *int { return &s.MaxPods }),
		flag("current", func(s *shape) *bool { return &s.Current }),
		flag("encryptsTransit", func(s *shape) *bool { return &s.EncryptsTransit }),
	}
}

func text(name string, at func(*catalog.Shape) *string, allowed ...string) field {
	get := func(s *catalog.Shape) string {
		if v := *at(s); v != "" {
			return v
		}
		return none
	}
	return field{name, get, func(s *catalog.Shape, v string) error { return setText(at(s), v, allowed) }}
}

func setText(to *string, v string, allowed []string) error {
	if v == none {
		v = ""
	} else if len(allowed) > 0 && !slices.Contains(allowed, v) {
		return errors.New("it must be " + strings.Join(allowed, ", ") + " or -")
	}
	*to = v
	return nil
}

func count(name string, at func(*catalog.Shape) *int) field {
	return field{
		name,
		func(s *catalog.Shape) string { return strconv.Itoa(*at(s)) },
		func(s *catalog.Shape, v string) (err error) { *at(s), err = whole(v); return err },
	}
}

func amount(name string, of unit.Bytes, at func(*catalog.Shape) *unit.Bytes) field {
	return field{
		name,
		func(s *catalog.Shape) string { return strconv.FormatInt(int64(*at(s)/of), 10) },
		func(s *catalog.Shape, v string) error {
			n, err := whole(v)
			*at(s) = unit.Bytes(n) * of
			return err
		},
	}
}

func flag(name string, at func(*catalog.Shape) *bool) field {
	return field{
		name,
		func(s *catalog.Shape) string { return strconv.FormatBool(*at(s)) },
		func(s *catalog.Shape, v string) error {
			b, err := strconv.ParseBool(v)
			if err != nil {
				return errors.New("it must be true or false")
			}
			*at(s) = b
			return nil
		},
	}
}

// whole reads a whole number from 0 to 2,147,483,647.
func whole(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0, errors.New("it must be a whole number, 0 or more")
	}
	return int(n), nil
}
