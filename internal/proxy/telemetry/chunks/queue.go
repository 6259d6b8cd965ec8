package chunks

import (
	"sync"
	"sync/atomic"
)

// Queue gathers the items of one event loop. Other goroutines may use it too.
type Queue struct {
	pump *Pump
	size int
	room int // chunks that may still be made

	mu      sync.Mutex
	scratch []byte
	current Chunk
	full    []Chunk
	free    [][]byte

	items   atomic.Uint64
	dropped atomic.Uint64
}

// Chunk is many items, one after the other.
type Chunk struct {
	Bytes []byte
	Items int
}

// Begin returns memory to encode an item into. It locks the queue: End must
// follow soon, with nothing between that waits.
func (q *Queue) Begin() []byte {
	q.mu.Lock()
	return q.scratch[:0]
}

// End queues the item, which Begin's memory holds or what append made of it. Where
// there is no room the item is counted as dropped. An empty item is none.
func (q *Queue) End(item []byte) {
	q.scratch = item
	signal := none
	if len(item) > 0 {
		signal = q.add(item)
	}
	q.mu.Unlock()
	q.pump.notify(signal)
}

// urgency is how soon the pump has to look.
type urgency uint8

const (
	none urgency = iota
	soon         // the first item of a chunk
	now          // a chunk is full
)

func (q *Queue) add(item []byte) urgency {
	signal := none
	if len(q.current.Bytes)+len(item) > q.size && len(q.current.Bytes) > 0 {
		q.full = append(q.full, q.current)
		q.current = Chunk{}
		signal = now
	}
	if q.current.Bytes == nil {
		q.current.Bytes = q.take()
	}
	if q.current.Bytes == nil || len(item) > q.size {
		q.dropped.Add(1)
		return max(signal, soon)
	}
	if len(q.current.Bytes) == 0 {
		signal = max(signal, soon)
	}
	q.current.Bytes = append(q.current.Bytes, item...)
	q.current.Items++
	q.items.Add(1)
	return signal
}

// take finds an empty chunk, or makes one while there may be more; nil: none.
func (q *Queue) take() []byte {
	if n := len(q.free); n > 0 {
		b := q.free[n-1]
		q.free = q.free[:n-1]
		return b
	}
	if q.room == 0 {
		return nil
	}
	q.room--
	return make([]byte, 0, q.size)
}

// next hands over the oldest chunk; with partial also one that is not full.
func (q *Queue) next(partial bool) (Chunk, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.full) > 0 {
		c := q.full[0]
		copy(q.full, q.full[1:])
		q.full = q.full[:len(q.full)-1]
		return c, true
	}
	if !partial || q.current.Items == 0 {
		return Chunk{}, false
	}
	c := q.current
	q.current = Chunk{}
	return c, true
}

// recycle gives a chunk's memory back.
func (q *Queue) recycle(c Chunk) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.free = append(q.free, c.Bytes[:0])
}
