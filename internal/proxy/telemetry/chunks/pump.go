package chunks

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Options say how much is held and for how long.
type Options struct {
	// Size of a chunk in bytes, and how many of them a queue may have. An item
	// that is larger than a chunk is dropped.
	Size  int
	Count int
	// Interval is how long an item waits at most for its chunk to fill.
	Interval time.Duration
	// Write gets chunks, one at a time, on one goroutine. Its memory is valid
	// until it returns. The context ends when Close has no time left.
	Write func(context.Context, Chunk)
}

// Pump moves chunks from queues to a writer in the background.
type Pump struct {
	options Options
	soon    chan struct{}
	now     chan struct{}
	stop    chan struct{}
	done    chan struct{}
	ctx     context.Context //nolint:containedctx // it bounds the goroutine's writes: Close ends it
	cancel  context.CancelFunc
	once    sync.Once

	mu     sync.Mutex
	queues []*Queue
}

// Start begins a pump. It has one goroutine until Close.
func Start(o Options) *Pump {
	p := &Pump{
		options: o, soon: make(chan struct{}, 1), now: make(chan struct{}, 1),
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	go p.run()
	return p
}

// Queue makes one more queue.
func (p *Pump) Queue() *Queue {
	q := &Queue{pump: p, size: p.options.Size, room: p.options.Count}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queues = append(p.queues, q)
	return q
}

// Counts are the items that were queued and those that found no room.
func (p *Pump) Counts() (items, dropped uint64) {
	for _, q := range p.all() {
		items += q.items.Load()
		dropped += q.dropped.Load()
	}
	return items, dropped
}

// Close writes what is queued and ends the goroutine. When ctx is over first, the
// rest is lost and its error returned. Items that come later are dropped in time.
func (p *Pump) Close(ctx context.Context) error {
	p.once.Do(func() { close(p.stop) })
	defer p.cancel()
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *Pump) notify(u urgency) {
	channel := p.soon
	switch u {
	case none:
		return
	case now:
		channel = p.now
	default:
	}
	select {
	case channel <- struct{}{}:
	default: // it is awake already
	}
}

func (p *Pump) run() {
	defer close(p.done)
	timer := time.NewTimer(p.options.Interval)
	timer.Stop()
	defer timer.Stop()
	armed := false
	// What came first must not wait for what comes later: an armed timer stays.
	arm := func() {
		if !armed {
			timer.Reset(p.options.Interval)
			armed = true
		}
	}
	for {
		// An idle proxy does not wake up.
		select {
		case <-p.stop:
			p.drain(true)
			return
		case <-p.now:
			p.drain(false)
			arm() // for the chunk that was begun when the other was full
		case <-p.soon:
			arm()
		case <-timer.C:
			armed = false
			p.drain(true)
		}
	}
}

// drain writes all full chunks; with partial then one that is not, for each queue.
func (p *Pump) drain(partial bool) {
	for _, q := range p.all() {
		for p.write(q, false) {
		}
		if partial {
			p.write(q, true)
		}
	}
}

func (p *Pump) write(q *Queue, partial bool) bool {
	c, ok := q.next(partial)
	if ok {
		p.options.Write(p.ctx, c)
		q.recycle(c)
	}
	return ok
}

func (p *Pump) all() []*Queue {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clip(p.queues)
}
