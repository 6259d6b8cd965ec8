package balance

import (
	"slices"

	"github.com/tatami-platform/tatami/internal/core/connect/resilience"
)

const (
	// ringPoints of a host with the least weight. More points make shares more
	// even: with 128 they differ by about 9 %.
	ringPoints = 128
	// ringMost points of one host, and ringSize of all together, bound the memory
	// to 8 MiB and the time to sort.
	ringMost = 128 * 16
	ringSize = 1 << 20
	// ringWalk points are looked at before a pick is made in another way.
	ringWalk = 4096
	// A point is one word: the high bits of its hash, and its host.
	ringHost = 1<<20 - 1
)

// newRing places the members on a circle. The points of a host depend on its
// address and on its weight relative to the least one only, so that a change of
// one host moves the keys of this host and no other.
func newRing(members []member) []uint64 {
	if len(members) == 0 || len(members) > ringHost {
		return nil
	}
	least := members[0].weight
	for i := range members {
		least = min(least, members[i].weight)
	}
	each := uint64(ringPoints)
	for each > 1 && each*uint64(len(members)) > ringSize/2 {
		each /= 2
	}
	points := make([]uint64, 0, each*uint64(len(members)))
	for i := range members {
		m := &members[i]
		n := min((m.weight*each+least/2)/least, ringMost, ringSize/uint64(len(members)))
		for k := range n {
			hash := mix(m.host.key + k*golden)
			points = append(points, hash&^ringHost|uint64(i))
		}
	}
	slices.Sort(points)
	return points
}

// hashed picks the first host on the circle from the hash on that may be used.
func (s *Set) hashed(v *view, now int64, c *Choice) (Picked, bool) {
	n := len(s.ring)
	start, _ := slices.BinarySearch(s.ring, c.Hash)
	var full *Host
	for i := range min(n, ringWalk) {
		m := &s.members[s.ring[(start+i)%n]&ringHost]
		if m.drain || c.tried(m.host) {
			continue
		}
		if !v.panicking && !s.eligible(m.host) {
			if now >= v.nextProbe && s.claim(m.host, now) {
				return Picked{Host: m.host, Probe: true}, true
			}
			continue
		}
		if !s.full(m, c) {
			return Picked{Host: m.host, Panic: v.panicking}, true
		}
		if full == nil {
			full = m.host
		}
	}
	return Picked{Host: full, Panic: v.panicking}, full != nil
}

// full says that a host has more than its share of the cluster's requests, times
// the bound.
func (s *Set) full(m *member, c *Choice) bool {
	if c.Bound == 0 {
		return false
	}
	allowed := float64(c.InFlight+1) * float64(m.weight) / float64(s.weight) * float64(c.Bound) / 100
	return float64(m.host.Outstanding()) >= allowed
}

// claim takes the right to probe a host.
func (s *Set) claim(h *Host, now int64) bool {
	if s.outliers == nil || !h.vitals.Health.Usable(s.checked) || !h.vitals.Outlier.ClaimProbe(now) {
		return false
	}
	s.shared.changes.Add(1)
	return true
}

// outcome tells the outliers what came of a request.
func (s *Set) outcome(now int64, p Picked, o *Outcome) resilience.Change {
	if s.outliers == nil {
		return resilience.Change{}
	}
	outlier := &p.Host.vitals.Outlier
	if silent(o) {
		if p.Probe {
			outlier.CancelProbe(now)
			s.shared.changes.Add(1)
		}
		return resilience.Change{}
	}
	change := s.outliers.Report(&p.Host.vitals, resilience.Report{
		Now:    now,
		Failed: s.outliers.Policy().Counts(o.Failure, o.Status),
		Probe:  p.Probe,
		Random: o.Random,
	})
	if change.Event != resilience.EventNone && change.Event != resilience.EventSpared {
		s.shared.changes.Add(1)
	}
	return change
}

// silent outcomes say neither that a host works nor that it does not.
func silent(o *Outcome) bool {
	switch o.Failure {
	case resilience.FailureCancelled, resilience.FailureRefused, resilience.FailureUnsent:
		return true
	default:
		return false
	}
}
