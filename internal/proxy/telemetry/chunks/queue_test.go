package chunks_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tatami-platform/tatami/internal/proxy/telemetry/chunks"
)

// sink keeps what a pump writes.
type sink struct {
	mu    sync.Mutex
	data  bytes.Buffer
	items int
	block chan struct{}
}

func (s *sink) write(ctx context.Context, c chunks.Chunk) {
	if s.block != nil {
		select {
		case <-s.block:
		case <-ctx.Done():
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data.Write(c.Bytes)
	s.items += c.Items
}

func (s *sink) has(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(s.data.String(), text)
}

func put(q *chunks.Queue, text string) { q.End(append(q.Begin(), text...)) }

func closeNow(t *testing.T, p *chunks.Pump) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := p.Close(ctx); err != nil {
		t.Error(err)
	}
}

func TestAllArriveInOrder(t *testing.T) {
	var s sink
	p := chunks.Start(chunks.Options{Size: 100, Count: 1000, Interval: time.Hour, Write: s.write})
	q := p.Queue()
	var want strings.Builder
	for i := range 500 {
		fmt.Fprintln(&want, i)
		put(q, fmt.Sprintln(i))
	}
	put(q, "")
	closeNow(t, p)
	if s.data.String() != want.String() || s.items != 500 {
		t.Errorf("%d items, %d bytes, want 500 and %d", s.items, s.data.Len(), want.Len())
	}
	if items, dropped := p.Counts(); items != 500 || dropped != 0 {
		t.Errorf("counts %d, %d", items, dropped)
	}
}

// TestPartOfAChunkIsWrittenInTime runs on a virtual clock.
func TestPartOfAChunkIsWrittenInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s sink
		p := chunks.Start(chunks.Options{Size: 100, Count: 4, Interval: time.Second, Write: s.write})
		defer closeNow(t, p)
		q, other := p.Queue(), p.Queue()
		put(q, "first")
		for range 3 { // each begins a chunk
			time.Sleep(300 * time.Millisecond)
			put(other, strings.Repeat("x", 60))
		}
		synctest.Wait()
		if s.has("first") {
			t.Error("written before its time")
		}
		time.Sleep(101 * time.Millisecond)
		put(other, strings.Repeat("x", 60))
		synctest.Wait()
		if !s.has("first") {
			t.Error("an item waits although its time is over: what comes later held it up")
		}
		put(q, "second")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !s.has("second") {
			t.Error("a later item is never written")
		}
	})
}

func TestBounds(t *testing.T) {
	s := sink{block: make(chan struct{})}
	p := chunks.Start(chunks.Options{Size: 100, Count: 3, Interval: time.Hour, Write: s.write})
	q := p.Queue()
	put(q, strings.Repeat("x", 101)) // larger than any chunk
	for range 100 {
		put(q, strings.Repeat("y", 50))
	}
	items, dropped := p.Counts()
	if items != 6 || dropped != 95 {
		t.Errorf("%d queued and %d dropped, want 3 chunks of 2, and 95", items, dropped)
	}
	close(s.block)
	closeNow(t, p)
	if s.items != 6 {
		t.Errorf("%d written, want 6", s.items)
	}
}

func TestCloseGivesUp(t *testing.T) {
	s := sink{block: make(chan struct{})}
	p := chunks.Start(chunks.Options{Size: 100, Count: 3, Interval: time.Millisecond, Write: s.write})
	put(p.Queue(), "x")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := p.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want a deadline", err)
	}
	// The writer saw its context end: nothing is left behind.
	closeNow(t, p)
}

func TestConcurrentQueues(t *testing.T) {
	var s sink
	p := chunks.Start(chunks.Options{Size: 1000, Count: 4, Interval: time.Millisecond, Write: s.write})
	shared := p.Queue()
	var wait sync.WaitGroup
	const goroutines, each = 4, 2000
	for range goroutines {
		wait.Go(func() {
			own := p.Queue()
			for range each {
				put(own, "abcdefgh\n")
				put(shared, "abcdefgh\n")
			}
		})
	}
	wait.Wait()
	closeNow(t, p)
	items, dropped := p.Counts()
	if items+dropped != 2*goroutines*each || uint64(s.items) != items {
		t.Errorf("%d queued, %d dropped, %d written", items, dropped, s.items)
	}
	if strings.ReplaceAll(s.data.String(), "abcdefgh\n", "") != "" {
		t.Error("items were mixed")
	}
}

func TestNoAllocations(t *testing.T) {
	p := chunks.Start(chunks.Options{Size: 1000, Count: 4, Interval: time.Millisecond, Write: func(context.Context, chunks.Chunk) {}})
	defer closeNow(t, p)
	q := p.Queue()
	for range 1000 {
		put(q, "warm up: all chunks come into being")
	}
	if n := testing.AllocsPerRun(1000, func() { put(q, "abcdefgh") }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
