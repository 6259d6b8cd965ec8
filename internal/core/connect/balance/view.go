package balance

import "math"

// view is a Set's members sorted by what may be asked of them. It is immutable;
// when a host changes, the next pick makes a new one.
type view struct {
	changes uint64
	// near is what requests go to: the eligible members, of the local zone where
	// zones count. In panic all that are not draining, else the draining ones.
	near group
	// far are the eligible members of other zones, where zones count.
	far group
	// drain are the draining members that still work.
	drain group

	panicking  bool
	lastResort bool

	// share is how much of near's and far's requests near gets, fair how much it
	// would get by weight alone; of 1.
	share float64
	fair  float64

	// probes are the ejected members, nextProbe the time (ns) from which one of
	// them may be probed.
	probes    []*Host
	nextProbe int64
}

// current is the view of now. While one loop makes a new one, others go on with
// the old: it is late by microseconds.
func (s *Set) current() *view {
	v := s.view.Load()
	if v.changes == s.shared.changes.Load() {
		return v
	}
	if !s.sorting.CompareAndSwap(false, true) {
		return v
	}
	defer s.sorting.Store(false)
	v = s.sort()
	s.view.Store(v)
	return v
}

// sort makes a view. The number of changes is read before the hosts are, so that
// a change in between leads to another view.
func (s *Set) sort() *view {
	v := &view{changes: s.shared.changes.Load(), nextProbe: math.MaxInt64, share: 1, fair: 1}
	eligible := make([]member, 0, len(s.members))
	var draining []member
	for i := range s.members {
		m := &s.members[i]
		switch ok := s.eligible(m.host); {
		case ok && m.drain:
			draining = append(draining, *m)
		case ok:
			eligible = append(eligible, *m)
		case !m.drain:
			v.probe(s, m.host)
		}
	}
	if len(draining) == 0 {
		draining = s.those(true)
	}
	turns := &s.shared.turns
	v.drain = newGroup(draining, &turns[2])
	if len(eligible) > 0 {
		s.zones(v, eligible)
		return v
	}
	if present := s.those(false); len(present) > 0 {
		v.panicking = true
		v.near = newGroup(present, &turns[0])
		return v
	}
	v.lastResort = true
	v.near = v.drain
	return v
}

// those are all members that are draining, or all that are not.
func (s *Set) those(drain bool) []member {
	var list []member
	for i := range s.members {
		if s.members[i].drain == drain {
			list = append(list, s.members[i])
		}
	}
	return list
}

// eligible says that nothing speaks against a host but that it may be draining.
func (s *Set) eligible(h *Host) bool {
	return h.vitals.Health.Usable(s.checked) && (s.outliers == nil || !h.vitals.Outlier.Ejected())
}

// probe notes an ejected host, unless checks hold it for ill anyway.
func (v *view) probe(s *Set, h *Host) {
	at := h.vitals.Outlier.ProbeAt()
	if s.outliers == nil || at == 0 || !h.vitals.Health.Usable(s.checked) {
		return
	}
	v.probes = append(v.probes, h)
	v.nextProbe = min(v.nextProbe, at)
}

// zones divides the eligible members into near and far.
func (s *Set) zones(v *view, eligible []member) {
	turns := &s.shared.turns
	if s.zone == nil {
		v.near = newGroup(eligible, &turns[0])
		return
	}
	var near, far []member
	for _, m := range eligible {
		if m.local {
			near = append(near, m)
		} else {
			far = append(far, m)
		}
	}
	if len(near) == 0 || len(far) == 0 {
		v.near = newGroup(eligible, &turns[0])
		return
	}
	v.near, v.far = newGroup(near, &turns[0]), newGroup(far, &turns[1])
	v.share, v.fair = s.zone.shares(v.near.total, v.far.total)
}
