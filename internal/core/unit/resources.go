package unit

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
)

// MilliCPU is processor time in thousandths of a core.
type MilliCPU int64

// Bytes is an amount of memory or disk.
type Bytes int64

// The binary multiples of a byte, and the decimal gigabyte in which disks are
// sold.
const (
	KiB Bytes = 1 << 10
	MiB Bytes = 1 << 20
	GiB Bytes = 1 << 30
	TiB Bytes = 1 << 40
	GB  Bytes = 1_000_000_000
)

// Cores is a whole number of cores.
func Cores(n int) MilliCPU { return MilliCPU(mul(int64(n), 1000)) }

// String is the amount as Kubernetes writes it: "250m" or "2".
func (c MilliCPU) String() string {
	if c%1000 == 0 {
		return strconv.FormatInt(int64(c/1000), 10)
	}
	return strconv.FormatInt(int64(c), 10) + "m"
}

// String is the amount in the largest binary unit that divides it.
func (b Bytes) String() string {
	for _, u := range []struct {
		size Bytes
		name string
	}{{TiB, "Ti"}, {GiB, "Gi"}, {MiB, "Mi"}, {KiB, "Ki"}} {
		if b != 0 && b%u.size == 0 {
			return strconv.FormatInt(int64(b/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

// Resources is an amount of everything that a pod asks for and a node has. The
// zero value is nothing. Values are immutable: Extended is never written to
// after a value is made.
type Resources struct {
	CPU    MilliCPU `json:"cpuMillis"`
	Memory Bytes    `json:"memoryBytes"`
	// Disk is ephemeral storage.
	Disk Bytes `json:"diskBytes,omitempty"`
	// Pods counts places for pods: 1 for a pod, the limit for a node.
	Pods int64 `json:"pods,omitempty"`
	// Extended counts the rest by name, e.g. nvidia.com/gpu.
	Extended map[string]int64 `json:"extended,omitempty"`
}

// Plus is r + o.
func (r Resources) Plus(o Resources) Resources { return r.combine(o, add) }

// Minus is r - o; amounts may become negative.
func (r Resources) Minus(o Resources) Resources { return r.combine(o, sub) }

// Max is the larger of each amount.
func (r Resources) Max(o Resources) Resources {
	return r.combine(o, func(a, b int64) int64 { return max(a, b) })
}

// Times is r taken n times.
func (r Resources) Times(n int64) Resources {
	return r.combine(Resources{}, func(a, _ int64) int64 { return mul(a, n) })
}

// Fits says whether r is at most free in every amount. What free does not name
// is 0.
func (r Resources) Fits(free Resources) bool { return r.Short(free) == "" }

// Short names the first amount of r that exceeds free, as Kubernetes names it,
// or "" when all fit.
func (r Resources) Short(free Resources) string {
	switch {
	case r.CPU > free.CPU:
		return "cpu"
	case r.Memory > free.Memory:
		return "memory"
	case r.Disk > free.Disk:
		return "ephemeral-storage"
	case r.Pods > free.Pods:
		return "pods"
	}
	for _, name := range slices.Sorted(maps.Keys(r.Extended)) {
		if n := r.Extended[name]; n > 0 && n > free.Extended[name] {
			return name
		}
	}
	return ""
}

// Equal compares every amount; an extended resource of 0 is as good as none.
func (r Resources) Equal(o Resources) bool { return r.Compare(o) == 0 }

// Compare orders resources: processor first, then memory, disk, pods, and the
// extended ones by name.
func (r Resources) Compare(o Resources) int {
	if c := cmp.Or(cmp.Compare(r.CPU, o.CPU), cmp.Compare(r.Memory, o.Memory),
		cmp.Compare(r.Disk, o.Disk), cmp.Compare(r.Pods, o.Pods)); c != 0 {
		return c
	}
	for _, name := range r.names(o) {
		if c := cmp.Compare(r.Extended[name], o.Extended[name]); c != 0 {
			return c
		}
	}
	return 0
}

// Get is the amount of a resource by the name that Kubernetes gives it, in
// millicores, bytes or pieces.
func (r Resources) Get(name string) int64 {
	switch name {
	case "cpu":
		return int64(r.CPU)
	case "memory":
		return int64(r.Memory)
	case "ephemeral-storage":
		return int64(r.Disk)
	case "pods":
		return r.Pods
	}
	return r.Extended[name]
}

func (r Resources) names(o Resources) []string {
	if len(r.Extended)+len(o.Extended) == 0 {
		return nil
	}
	all := maps.Clone(r.Extended)
	if all == nil {
		all = map[string]int64{}
	}
	maps.Copy(all, o.Extended)
	return slices.Sorted(maps.Keys(all))
}

func (r Resources) combine(o Resources, f func(a, b int64) int64) Resources {
	out := Resources{
		CPU:    MilliCPU(f(int64(r.CPU), int64(o.CPU))),
		Memory: Bytes(f(int64(r.Memory), int64(o.Memory))),
		Disk:   Bytes(f(int64(r.Disk), int64(o.Disk))),
		Pods:   f(r.Pods, o.Pods),
	}
	for _, name := range r.names(o) {
		if n := f(r.Extended[name], o.Extended[name]); n != 0 {
			if out.Extended == nil {
				out.Extended = map[string]int64{}
			}
			out.Extended[name] = n
		}
	}
	return out
}
