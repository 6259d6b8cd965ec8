package exchange

// Member is a client's connection in a worker's list, whatever it is at the time:
// a greeting, a connection with a codec, or a tunnel. It lies within its owner.
type Member struct {
	// Address that was connected to, as the routes have it.
	Address string
	Owner   Ender
	in      *Worker
	next    *Member
	prev    *Member
	asked   bool // to drain
}

// Ender is what can be asked to end. Either may call Leave.
type Ender interface {
	// Drain ends what is idle now, and the rest as soon as it is complete.
	Drain()
	// Close ends it at once.
	Close()
}

// Join puts m in the list.
func (w *Worker) Join(m *Member) {
	m.in, m.prev, m.next = w, nil, w.members
	if w.members != nil {
		w.members.prev = m
	}
	w.members = m
}

// Leave takes m out of its list, if it is in one.
func (m *Member) Leave() {
	w := m.in
	if w == nil {
		return
	}
	if m.prev != nil {
		m.prev.next = m.next
	} else {
		w.members = m.next
	}
	if m.next != nil {
		m.next.prev = m.prev
	}
	m.in, m.next, m.prev = nil, nil, nil
}

// Drain asks all connections of which the address fits to end, once each.
func (w *Worker) Drain(fits func(address string) bool) {
	// Collected first: who is asked may leave, and so may others.
	var all []*Member
	for m := w.members; m != nil; m = m.next {
		if !m.asked && fits(m.Address) {
			all = append(all, m)
		}
	}
	for _, m := range all {
		if m.in != nil && !m.asked {
			m.asked = true
			m.Owner.Drain()
		}
	}
}

// Retire asks all connections to end, and each new one as soon as it is there.
func (w *Worker) Retire() {
	w.retiring = true
	w.Drain(func(string) bool { return true })
}

// CloseAll ends all connections at once, those to backends included.
func (w *Worker) CloseAll() {
	for w.members != nil {
		m := w.members
		m.Leave()
		m.Owner.Close()
	}
	for _, l := range w.locals {
		l.pool.Close()
	}
}
