package catalog

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/unit"
)

// families reads the table of families; its form is described in the table.
type families struct {
	ladders map[[2]string]ladder // by kind and name
	shapes  []Shape
	prices  map[string]unit.NanoUSD
	// family is the one whose exceptions are read: from its first shape on. It
	// has so much memory, in billionths of a GiB, and costs so much per processor.
	family   string
	first    int
	gib, usd unit.NanoUSD
}

func parseFamilies(text string) ([]Shape, map[string]unit.NanoUSD, error) {
	t := families{ladders: map[[2]string]ladder{}, prices: map[string]unit.NanoUSD{}}
	err := eachLine(text, func(indented bool, w []string) error {
		switch {
		case indented:
			return t.exception(w)
		case w[0] == "ladder" && len(w) > 3:
			return t.ladder(w[1], w[2], w[3:])
		case w[0] == "family" && len(w) > 9:
			return t.add(w[1:9], w[9:])
		}
		return fmt.Errorf("%q is neither a ladder nor a family", w[0])
	})
	return t.shapes, t.prices, err
}

// ladder says how a figure grows with the number of processors.
type ladder []step

type step struct {
	rank  int
	value string
}

// at is the value of the first step that is at least as high; "" above all.
func (l ladder) at(rank int) string {
	for _, s := range l {
		if s.rank >= rank {
			return s.value
		}
	}
	return ""
}

func (t *families) ladder(kind, name string, steps []string) error {
	var l ladder
	err := pairs(steps, func(size, value string) error {
		rank, err := sizeRank(size)
		l = append(l, step{rank, value})
		return err
	})
	t.ladders[[2]string{kind, name}] = l
	return err
}

// sizeRank orders sizes: four times the processors of a usual family, so that
// nano, micro and small lie below medium.
func sizeRank(size string) (int, error) {
	switch size {
	case "nano", "micro", "small", "medium":
		return 1 + slices.Index([]string{"nano", "micro", "small", "medium"}, size), nil
	case "large":
		return 8, nil
	case "xlarge":
		return 16, nil
	}
	n, err := number(strings.TrimSuffix(strings.TrimPrefix(size, "metal-"), "xl"))
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is not a size", size)
	}
	return 16 * n, nil
}

// sizeName is a size as it stands behind the dot of a type's name.
func sizeName(size string) string {
	if _, err := number(size); err == nil {
		return size + "xlarge"
	}
	return size
}

// add makes the shapes of a family from its line.
func (t *families) add(fields, sizes []string) error {
	t.family, t.first = fields[0], len(t.shapes)
	if err := t.rates(fields[2], fields[3]); err != nil {
		return err
	}
	tags := strings.Split(fields[1], ",")
	for _, size := range sizes {
		size, as, ok := strings.Cut(size, "=")
		if !ok {
			as = size
		}
		rank, err := sizeRank(as)
		if err != nil {
			return err
		}
		s, err := NamedShape(t.family + "." + sizeName(size))
		if err == nil {
			err = s.tag(tags)
		}
		if err != nil {
			return err
		}
		t.size(&s, max(1, rank/4))
		for i, kind := range []string{"net", "ebs", "eni", "disk"} {
			if name := fields[4+i]; name != "-" {
				if err := s.set(kind, t.ladders[[2]string{kind, name}].at(rank)); err != nil {
					return fmt.Errorf("%s: %s: %w", s.Name, kind, err)
				}
			}
		}
		t.shapes = append(t.shapes, s)
	}
	return nil
}

// rates reads what a family has and costs per processor. A dash is 0: the
// exceptions say it.
func (t *families) rates(gib, usd string) (err error) {
	t.gib, t.usd = 0, 0
	if gib != "-" {
		t.gib, err = unit.ParseUSD(gib) // any exact decimal
	}
	if usd != "-" && err == nil {
		t.usd, err = unit.ParseUSD(usd)
	}
	return err
}

// size sets what follows from the number of processors.
func (t *families) size(s *Shape, vcpu int) {
	s.VCPU = vcpu
	s.Memory = unit.Bytes(t.gib.MulDiv(int64(vcpu)*int64(unit.GiB), int64(unit.USD)))
	t.prices[s.Name] = cents5(t.usd.Times(int64(vcpu)))
}

// tag sets what all sizes of a family share.
func (s *Shape) tag(tags []string) error {
	s.Arch, s.Current = AMD64, true
	if !s.Metal {
		s.Hypervisor = "nitro"
	}
	for _, tag := range tags {
		switch tag {
		case "intel", "amd":
			s.Vendor = tag
		case "aws":
			s.Vendor, s.Arch = tag, ARM64
		case "xen":
			s.Hypervisor = tag
		case "previous":
			s.Current = false
		case "encrypts":
			s.EncryptsTransit = true
		default:
			return fmt.Errorf("%q is not a tag", tag)
		}
	}
	return nil
}

// exception changes shapes of the family that was read last.
func (t *families) exception(w []string) error {
	kind, values := w[0], w[1:]
	var model Accelerators
	if kind == "gpu" || kind == "accel" {
		if len(w) < 5 {
			return errors.New("maker, model and memory are missing")
		}
		mib, err := number(w[3])
		if err != nil {
			return err
		}
		model = Accelerators{Manufacturer: w[1], Name: w[2], Memory: unit.Bytes(mib) * unit.MiB}
		values = w[4:]
	}
	return pairs(values, func(size, value string) (err error) {
		name := t.family + "." + sizeName(size)
		i := slices.IndexFunc(t.shapes[t.first:], func(s Shape) bool { return s.Name == name })
		if i < 0 {
			return fmt.Errorf("the family %q has no such size", t.family)
		}
		s := &t.shapes[t.first+i]
		switch kind {
		case "vcpu":
			var n int
			n, err = number(value)
			t.size(s, n)
		case "usd":
			t.prices[name], err = unit.ParseUSD(value)
		case "gpu":
			s.GPU = model
			s.GPU.Count, err = number(value)
		case "accel":
			s.Accelerator = model
			s.Accelerator.Count, err = number(value)
		default:
			err = s.set(kind, value)
		}
		return err
	})
}

// set changes one figure of a shape.
func (s *Shape) set(kind, value string) error {
	if kind == "eni" {
		return s.setENI(value)
	}
	n, err := number(value)
	switch kind {
	case "mib":
		s.Memory = unit.Bytes(n) * unit.MiB
	case "net":
		s.NetworkMbps = n
	case "ebs":
		s.EBSMbps = n
	case "disk":
		s.LocalDisk = unit.Bytes(n) * unit.GB
	default:
		return errors.New("there is no such figure")
	}
	return err
}

// setENI reads interfaces x addresses, and how many interfaces carry pods.
func (s *Shape) setENI(value string) error {
	value, part, limited := strings.Cut(value, "/")
	left, right, ok := strings.Cut(value, "x")
	enis, err := number(left)
	addresses, err2 := number(right)
	if err = errors.Join(err, err2); err != nil || !ok {
		return fmt.Errorf("%q is not INTERFACESxADDRESSES", value)
	}
	s.MaxENIs, s.IPv4PerENI = enis, addresses
	if limited {
		if enis, err = number(part); err != nil {
			return err
		}
	}
	s.MaxPods = PodsByENI(enis, addresses)
	return nil
}
