package catalog

import (
	"github.com/tatami-platform/tatami/internal/core/unit"
)

// CapacityType is a way to buy a machine, as Karpenter's label
// karpenter.sh/capacity-type says it.
type CapacityType string

// The ways to buy.
const (
	OnDemand CapacityType = "on-demand"
	Spot     CapacityType = "spot"
	Reserved CapacityType = "reserved"
	Fargate  CapacityType = "fargate"
)

// Band is how often spot machines of a shape are taken back in a month, as
// AWS's Spot Instance Advisor groups it: 0 under 5 %, 1 5-10 %, 2 10-15 %,
// 3 15-20 %, 4 over 20 %.
type Band int8

// BandUnknown is the band of a shape that nothing is known of. It counts as the
// middle one.
const BandUnknown Band = -1

// Monthly is the middle of the band: the share of machines that are taken back
// within a month, in percent. The open band counts as 25 %.
func (b Band) Monthly() float64 {
	if b == BandUnknown {
		b = 2
	}
	return [...]float64{2.5, 7.5, 12.5, 17.5, 25}[min(max(b, 0), 4)]
}

// String is the band as people read it, e.g. "5-10%".
func (b Band) String() string {
	if b == BandUnknown {
		return "unknown"
	}
	return [...]string{"<5%", "5-10%", "10-15%", "15-20%", ">20%"}[min(max(b, 0), 4)]
}

// Offering is a shape that can be bought in one zone in one way.
type Offering struct {
	Shape    *Shape
	Region   string // "us-east-1"
	Zone     string // "us-east-1a"
	ZoneID   string // "use1-az1"; empty when it is not known
	Capacity CapacityType
	// Price of an hour of one machine.
	Price unit.NanoUSD
	// Band is the interruption band; 0 and meaningless unless Capacity is Spot.
	Band Band
	// Limit is how many can be had at most, e.g. of a reservation, those that are
	// in use included; 0 is no limit.
	Limit int
}
