package health

import (
	"container/heap"
	"time"
)

// idle is how long the scheduler sleeps when nothing is planned; a change wakes it.
const idle = time.Hour

// item is a check that is planned. It is in the schedule while at > 0.
type item struct {
	target *target
	due    time.Time
	at     int // its place in the heap plus one
}

// schedule orders checks by the time at which they are due. The zero value is
// empty. All methods take O(log n).
type schedule struct{ heap items }

func (s *schedule) add(i *item) {
	if i.at == 0 {
		heap.Push(&s.heap, i)
	}
}

func (s *schedule) remove(i *item) {
	if i.at > 0 {
		heap.Remove(&s.heap, i.at-1)
	}
}

// next takes out the item that is due first, or says how long until one is.
func (s *schedule) next(now time.Time) (*item, time.Duration) {
	if len(s.heap) == 0 {
		return nil, idle
	}
	first := s.heap[0]
	if wait := first.due.Sub(now); wait > 0 {
		return nil, wait
	}
	heap.Pop(&s.heap)
	return first, 0
}

// items is a heap.Interface.
type items []*item

func (h items) Len() int           { return len(h) }
func (h items) Less(i, j int) bool { return h[i].due.Before(h[j].due) }

func (h items) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i+1, j+1
}

func (h *items) Push(x any) {
	i := x.(*item)
	*h = append(*h, i)
	i.at = len(*h)
}

func (h *items) Pop() any {
	old := *h
	i := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	i.at = 0
	return i
}
