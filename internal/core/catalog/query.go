package catalog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/unit"
)

// Query says which offerings are wanted.
type Query struct {
	Region string
	// Zones by name; empty is all of the region.
	Zones []string
	// Capacities are OnDemand and Spot; empty is both.
	Capacities []CapacityType
	Filter     Attributes
}

// Offerings are what can be bought, in the order of Shapes, then by zone,
// on-demand before spot. A spot offering that costs as much as on-demand is one
// still: whether it is worth its risk is for others to say. Unknown regions and
// zones are errors that wrap [ErrUnknown].
func (b *Book) Offerings(q Query) ([]Offering, error) {
	m, err := b.market(q.Region)
	if err != nil {
		return nil, err
	}
	zones, err := m.zones(q.Zones)
	if err != nil {
		return nil, err
	}
	limit, wantsSpot := b.protection(m, &q.Filter), anyOf(q.Capacities, Spot)
	out := make([]Offering, 0, 2*len(zones)*len(b.shapes))
	for i, s := range b.shapes {
		p := m.prices[i]
		if !p.Sold() || !q.Filter.Allow(s) {
			continue
		}
		if !anyOf(q.Capacities, OnDemand) || !limit.allows(OnDemand, p.OnDemand) {
			p.OnDemand = 0
		}
		for _, z := range zones {
			spot, sold := p.in(z.Name)
			if !sold {
				continue
			}
			if !wantsSpot || !limit.allows(Spot, spot) {
				spot = 0
			}
			o := Offering{Shape: s, Region: m.region.Name, Zone: z.Name, ZoneID: z.ID}
			out = o.append(out, p, spot)
		}
	}
	return out, nil
}

// append adds the ways to buy o that have a price.
func (o Offering) append(to []Offering, p Price, spot unit.NanoUSD) []Offering {
	if p.OnDemand > 0 {
		o.Capacity, o.Price = OnDemand, p.OnDemand
		to = append(to, o)
	}
	if spot > 0 {
		o.Capacity, o.Price, o.Band = Spot, spot, p.Band
		to = append(to, o)
	}
	return to
}

// in is the price of spot in a zone, and whether the shape is sold there.
func (p *Price) in(zone string) (spot unit.NanoUSD, sold bool) {
	own, listed := p.Zones[zone]
	if own == 0 {
		own = p.Spot
	}
	return own, listed || p.Zones == nil
}

func (m *market) zones(names []string) ([]Zone, error) {
	if len(names) == 0 {
		return m.region.Zones, nil
	}
	var out []Zone
	for _, z := range m.region.Zones {
		if slices.Contains(names, z.Name) {
			out = append(out, z)
		}
	}
	for _, name := range names {
		if !slices.ContainsFunc(out, func(z Zone) bool { return z.Name == name }) {
			var known []string
			for _, z := range m.region.Zones {
				known = append(known, z.Name)
			}
			return nil, fmt.Errorf("zone %q: %w; %s has %s", name, ErrUnknown, m.region.Name, strings.Join(known, ", "))
		}
	}
	return out, nil
}

// ceiling is the highest price by way to buy; 0 is none.
type ceiling struct{ onDemand, spot unit.NanoUSD }

func (c ceiling) allows(how CapacityType, price unit.NanoUSD) bool {
	top := c.onDemand
	if how == Spot {
		top = c.spot
	}
	return top == 0 || price <= top
}

// protection computes the ceilings of price protection.
func (b *Book) protection(m *market, a *Attributes) ceiling {
	var c ceiling
	if a.OnDemandOverLowest == 0 && a.SpotOverLowest == 0 && a.SpotOfOnDemand == 0 {
		return c
	}
	onDemand, spot := b.lowest(m, a)
	if a.OnDemandOverLowest > 0 {
		c.onDemand = onDemand.MulDiv(int64(100+a.OnDemandOverLowest), 100)
	}
	switch {
	case a.SpotOfOnDemand > 0:
		c.spot = onDemand.MulDiv(int64(a.SpotOfOnDemand), 100)
	case a.SpotOverLowest > 0:
		c.spot = spot.MulDiv(int64(100+a.SpotOverLowest), 100)
	}
	return c
}

// lowest finds the prices that price protection starts from.
func (b *Book) lowest(m *market, a *Attributes) (onDemand, spot unit.NanoUSD) {
	// By how near the shape is to what EC2 looks for first.
	var best [3]ceiling
	for i, s := range b.shapes {
		if !a.Allow(s) {
			continue
		}
		tier := 2
		switch {
		case s.Current && (s.Category == "c" || s.Category == "m" || s.Category == "r"):
			tier = 0
		case s.Current:
			tier = 1
		}
		p := &m.prices[i]
		best[tier].onDemand = lower(best[tier].onDemand, p.OnDemand)
		best[tier].spot = lower(best[tier].spot, p.Spot)
		for _, own := range p.Zones {
			best[tier].spot = lower(best[tier].spot, own)
		}
	}
	for _, tier := range best {
		if onDemand == 0 {
			onDemand = tier.onDemand
		}
		if spot == 0 {
			spot = tier.spot
		}
	}
	return onDemand, spot
}

// lower is the smaller price; 0 is none.
func lower(a, b unit.NanoUSD) unit.NanoUSD {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}
