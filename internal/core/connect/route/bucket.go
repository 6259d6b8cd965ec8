package route

import (
	"sync/atomic"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
)

// Bucket is a token bucket for any number of threads, without a lock: the generic
// cell rate algorithm, which keeps one time instead of tokens and a refill time.
// Source: ITU-T I.371.
type Bucket struct {
	// full is the time in nanoseconds at which the bucket will be full again.
	full atomic.Int64
	// every is the time that one token takes to come, slack that of all but one of
	// the burst.
	every, slack int64
	config       connect.RateLimit
}

// NewBucket starts full. Requests, Interval and Burst are as in connect.RateLimit;
// a token's time is rounded down to a nanosecond, so that above a million requests
// per second up to 0.1 % too many pass.
func NewBucket(limit connect.RateLimit) *Bucket {
	interval, burst := limit.Interval, limit.Burst
	if interval <= 0 {
		interval = time.Second
	}
	requests := max(limit.Requests, 1)
	if burst <= 0 {
		burst = requests
	}
	every := max(int64(interval)/int64(requests), 1)
	return &Bucket{every: every, slack: every * int64(burst-1), config: limit}
}

// Allow takes a token if there is one. now is in nanoseconds of a clock that does
// not go back; if it does, tokens come later, never more.
func (b *Bucket) Allow(now int64) bool {
	for {
		full := b.full.Load()
		from := max(full, now)
		if from-now > b.slack {
			return false
		}
		if b.full.CompareAndSwap(full, from+b.every) {
			return true
		}
	}
}

// Wait is in how many nanoseconds the next token comes (for Retry-After); 0: there
// is one.
func (b *Bucket) Wait(now int64) int64 {
	return max(b.full.Load()-now-b.slack, 0)
}

// Status of refusals, 429 unless the configuration says otherwise.
func (b *Bucket) Status() int {
	if b.config.Status == 0 {
		return 429
	}
	return b.config.Status
}
