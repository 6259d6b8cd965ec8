package trace

import "encoding/binary"

// million is what sampling ratios are parts of.
const million = 1_000_000

// Sampler begins traces and continues them.
type Sampler struct {
	// Enabled: spans go somewhere. Without it a caller's context is passed on as
	// it came and no new trace begins.
	Enabled bool
	// PerMillion of new traces are recorded.
	PerMillion uint32
}

// Start makes the context that a request is forwarded with. parent is what
// Extract gave. A caller's decision is followed; a new trace is recorded by its
// ID, so that all proxies with the same ratio decide alike. random gives 64 random
// bits at a time; they need not be secret.
func (s Sampler) Start(parent Context, ok bool, random func() uint64) Context {
	if !s.Enabled {
		return parent
	}
	c := Context{Span: spanID(random), Own: true}
	if ok {
		c.Trace, c.Parent, c.Flags, c.State = parent.Trace, parent.Span, parent.Flags, parent.State
		return c
	}
	for c.Trace == (ID{}) {
		binary.BigEndian.PutUint64(c.Trace[:8], random())
		binary.BigEndian.PutUint64(c.Trace[8:], random())
	}
	c.Flags = Random
	if s.samples(c.Trace) {
		c.Flags |= Sampled
	}
	return c
}

// samples compares the random part of the ID with the ratio.
func (s Sampler) samples(id ID) bool {
	if s.PerMillion >= million {
		return true
	}
	// 1<<56 divided by a million fits into 36 bits: no overflow with the ratio.
	return id.low56() >= 1<<56-(1<<56/million)*uint64(s.PerMillion)
}

func spanID(random func() uint64) SpanID {
	var id SpanID
	for id == (SpanID{}) {
		binary.BigEndian.PutUint64(id[:], random())
	}
	return id
}
