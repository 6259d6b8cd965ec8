package catalog

import (
	"github.com/tatami-platform/tatami/internal/core/unit"
)

// Arch is a processor architecture as Kubernetes and Go name it.
type Arch string

// The architectures that AWS sells.
const (
	AMD64 Arch = "amd64"
	ARM64 Arch = "arm64"
)

// Accelerators are the GPUs, or the other accelerators, of one machine. The
// zero value is none.
type Accelerators struct {
	// Count is 0 when the machine has a share of one.
	Count        int
	Name         string     // e.g. "l4"
	Manufacturer string     // e.g. "nvidia"
	Memory       unit.Bytes // of each
}

// Shape is a type of machine, e.g. m7g.xlarge: what it has, not what it costs.
// Shapes are immutable and shared.
type Shape struct {
	Name string // "m7g.xlarge"
	// Family and Size are the parts of the name, Category its first letters and
	// Generation the number in it: "m7g", "xlarge", "m", 7.
	Family, Size, Category string
	Generation             int
	Arch                   Arch
	// Vendor made the processor: "intel", "amd" or "aws".
	Vendor string
	VCPU   int
	Memory unit.Bytes
	GPU    Accelerators
	// Accelerator is what is neither CPU nor GPU, e.g. Inferentia.
	Accelerator Accelerators
	// LocalDisk is the sum of the disks in the machine.
	LocalDisk   unit.Bytes
	NetworkMbps int
	EBSMbps     int
	// Hypervisor is "nitro" or "xen"; empty for a machine without one.
	Hypervisor string
	// Metal is a whole machine; Burstable earns processor credits; Flex gives
	// the whole processor 95 % of the time; Current is sold to new customers
	// without a warning that a newer one exists.
	Metal, Burstable, Flex, Current bool
	// EncryptsTransit says that the hardware encrypts traffic between instances.
	EncryptsTransit bool
	// ClockMHz is the sustained clock of the processor; 0 when it is not known.
	ClockMHz int
	// MaxENIs and IPv4PerENI bound the addresses of pods.
	MaxENIs, IPv4PerENI int
	// MaxPods is what a kubelet allows by those addresses.
	MaxPods int
}

// Kubelet is how nodes are set up as far as it changes what is left for pods.
// The zero value is the default of EKS on Amazon Linux 2023.
type Kubelet struct {
	// MaxPods replaces the number given by network interfaces; 0 keeps it.
	MaxPods int
	// PodsPerCore bounds it by the processor; 0 does not.
	PodsPerCore int
	// Reserved is added to what EKS reserves for kubelet and system.
	Reserved unit.Resources
	// PrefixDelegation gives each interface blocks of 16 addresses.
	PrefixDelegation bool
	// RootDisk is the size of the node's own disk; 0 is 20 GiB.
	RootDisk unit.Bytes
}
