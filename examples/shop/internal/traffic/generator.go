package traffic

import (
	"context"
	"sync"
	"time"
)

const (
	tick = 10 * time.Millisecond
	// maxLag is how much time is made up for after the process was held up; a
	// machine that slept through the night must not get the night's visitors.
	maxLag = time.Second
)

// Generator starts visits at the pattern's rate, whether or not earlier ones
// have ended (open loop): a slow shop gets no fewer customers.
type Generator struct {
	Pattern Pattern
	// Visit runs the visit of that number, which costs RequestsPerVisit.
	Visit func(ctx context.Context, number int)
	// MaxVisits bounds the visits that run at one time. A visit beyond it is
	// not made; Dropped is called instead.
	MaxVisits int
	Dropped   func()
	// Target is told the rate that is asked for now.
	Target func(requestsPerSecond float64)

	once sync.Once
	stop chan struct{}
}

// Serve generates load until Stop, then waits for visits to end. Cancelling the
// context breaks visits off.
func (g *Generator) Serve(ctx context.Context) error {
	g.init()
	free := make(chan struct{}, g.MaxVisits)
	var visits sync.WaitGroup
	defer visits.Wait()

	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	start := time.Now()
	last, due, number := start, 0.0, 0
	for {
		select {
		case <-g.stop:
			return nil
		case <-ctx.Done():
			return nil
		case now := <-ticker.C:
			rate := g.Pattern.Rate(now.Sub(start))
			g.Target(rate)
			due += rate / RequestsPerVisit * min(now.Sub(last), maxLag).Seconds()
			last = now
			for ; due >= 1; due-- {
				select {
				case free <- struct{}{}:
				default:
					g.Dropped()
					continue
				}
				number++
				n := number
				visits.Go(func() {
					defer func() { <-free }()
					g.Visit(ctx, n)
				})
			}
		}
	}
}

// Stop ends arrivals.
func (g *Generator) Stop() {
	g.init()
	select {
	case <-g.stop:
	default:
		close(g.stop)
	}
}

func (g *Generator) init() { g.once.Do(func() { g.stop = make(chan struct{}) }) }
