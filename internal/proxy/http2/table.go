package http2

// table holds the streams of a connection: by ID in chained buckets, which
// sequential IDs fill evenly, and in a list for those that have none yet.
type table struct {
	buckets []*h2stream
	first   *h2stream
	last    *h2stream
	active  int
}

func (t *table) find(id uint32) *h2stream {
	if len(t.buckets) == 0 {
		return nil
	}
	for s := t.buckets[t.bucket(id)]; s != nil; s = s.chain {
		if s.id == id {
			return s
		}
	}
	return nil
}

func (t *table) bucket(id uint32) int { return int(id>>1) & (len(t.buckets) - 1) }

// add takes a stream, with its ID or without.
func (t *table) add(s *h2stream) {
	s.prev, s.next = t.last, nil
	if t.last != nil {
		t.last.next = s
	} else {
		t.first = s
	}
	t.last = s
	t.active++
	if s.id != 0 {
		t.named(s)
	}
}

// named makes a stream that has been added findable by its ID.
func (t *table) named(s *h2stream) {
	if t.active > len(t.buckets) {
		t.grow()
	}
	b := t.bucket(s.id)
	s.chain = t.buckets[b]
	t.buckets[b] = s
}

func (t *table) grow() {
	old := t.buckets
	t.buckets = make([]*h2stream, max(2*len(old), 8))
	for _, s := range old {
		for s != nil {
			next := s.chain
			b := t.bucket(s.id)
			s.chain = t.buckets[b]
			t.buckets[b] = s
			s = next
		}
	}
}

func (t *table) remove(s *h2stream) {
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		t.first = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	} else {
		t.last = s.prev
	}
	s.prev, s.next = nil, nil
	t.active--
	if s.id == 0 {
		return
	}
	at := &t.buckets[t.bucket(s.id)]
	for *at != s {
		at = &(*at).chain
	}
	*at = s.chain
	s.chain = nil
}

// cause is how a stream ended.
type cause uint8

const (
	causeUnknown cause = iota // too long ago, or never opened
	causeEnded                // in both directions
	causePeer                 // the peer reset it
	causeUs                   // we did: frames may still be under way
)

// graves remembers the streams that ended last.
type graves struct {
	ids    [64]uint32
	causes [64]cause
	next   uint8
}

func (g *graves) bury(id uint32, why cause) {
	g.ids[g.next%64], g.causes[g.next%64] = id, why
	g.next++
}

func (g *graves) cause(id uint32) cause {
	for i, other := range g.ids {
		if other == id {
			return g.causes[i]
		}
	}
	return causeUnknown
}

// ring is the streams that have data to send and may, in turn.
type ring struct{ at *h2stream }

func (r *ring) add(s *h2stream) {
	if s.ringNext != nil {
		return
	}
	if r.at == nil {
		s.ringNext, s.ringPrev = s, s
		r.at = s
		return
	}
	// Behind all others.
	s.ringNext, s.ringPrev = r.at, r.at.ringPrev
	r.at.ringPrev.ringNext = s
	r.at.ringPrev = s
}

func (r *ring) remove(s *h2stream) {
	if s.ringNext == nil {
		return
	}
	if s.ringNext == s {
		r.at = nil
	} else {
		s.ringPrev.ringNext, s.ringNext.ringPrev = s.ringNext, s.ringPrev
		if r.at == s {
			r.at = s.ringNext
		}
	}
	s.ringNext, s.ringPrev = nil, nil
}
