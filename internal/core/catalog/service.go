package catalog

import (
	"fmt"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/unit"
)

// Service is something besides machines that costs money.
type Service string

// The services that the platform counts; the built-in table has more.
const (
	EKSCluster       Service = "eks.cluster"
	FargateVCPU      Service = "fargate.vcpu"
	FargateMemory    Service = "fargate.memory"
	FargateStorage   Service = "fargate.storage"
	EBSGP3           Service = "ebs.gp3"
	EBSGP3IOPS       Service = "ebs.gp3.iops"
	EBSGP3Throughput Service = "ebs.gp3.throughput"
	EBSGP2           Service = "ebs.gp2"
	EBSIO2           Service = "ebs.io2"
	EBSIO2IOPS       Service = "ebs.io2.iops"
	ALB              Service = "alb"
	ALBUnit          Service = "alb.lcu"
	NLB              Service = "nlb"
	NLBUnit          Service = "nlb.lcu"
	NAT              Service = "nat"
	NATData          Service = "nat.data"
	PublicIPv4       Service = "ipv4"
	TransferZone     Service = "transfer.zone"
	TransferRegion   Service = "transfer.region"
	TransferInternet Service = "transfer.internet"
)

// ServicePrice is what one unit of a service costs.
type ServicePrice struct {
	Service Service `json:"service"`
	// Per is the unit, e.g. "hour" or "GB-month".
	Per   string       `json:"per"`
	Title string       `json:"title"`
	Price unit.NanoUSD `json:"priceUSD"`
}

// Services are the prices of a region, in the first tier where there are some.
type Services struct {
	Region string         `json:"region"`
	Source Source         `json:"source"`
	Prices []ServicePrice `json:"prices"`
}

// Price is that of one unit of a service; 0 when there is none.
func (s Services) Price(of Service) unit.NanoUSD {
	for _, p := range s.Prices {
		if p.Service == of {
			return p.Price
		}
	}
	return 0
}

// RegionServices are the built-in prices of services in a region; the error
// lists the known regions.
func RegionServices(region string) (Services, error) {
	rows, err := parseRegions(regionTable)
	if err != nil {
		return Services{}, fmt.Errorf("regions.txt: %w", err)
	}
	known := make([]string, len(rows))
	for i, r := range rows {
		if r.Name == region {
			return r.services, nil
		}
		known[i] = r.Name
	}
	return Services{}, fmt.Errorf("prices of services in region %q: %w; it has %s", region, ErrUnknown, strings.Join(known, ", "))
}
