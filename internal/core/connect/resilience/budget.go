package resilience

import (
	"sync/atomic"
	"time"
)

const (
	// budgetSeconds is the window of the retry budget. Gateway API's
	// XBackendTrafficPolicy has the same default.
	budgetSeconds = 10
	// budgetFloor is how many retries per second are allowed whatever the number
	// of requests: a quiet service must be able to retry too.
	budgetFloor = 3

	// One second is one word: its number, its requests, its retries. The number
	// wraps after 18 hours, when it may show a second that nobody counted in.
	retryBits    = 22
	requestBits  = 26
	requestUnit  = 1 << retryBits
	secondOffset = retryBits + requestBits
	secondMask   = 1<<(64-secondOffset) - 1
	requestMask  = 1<<requestBits - 1
	retryMask    = 1<<retryBits - 1
)

// RetryBudget keeps retries below a share of the requests, so that they cannot
// turn a failure into an overload. Two callers at the same moment may exceed it
// by one.
type RetryBudget struct {
	percent  uint64
	seconds  *[budgetSeconds + 1]atomic.Uint64
	refusals *atomic.Uint64
}

// NewRetryBudget allows percent of the requests of the last 10 s (20 when 0) and
// 3 per second beyond that. Old is the value that this one replaces, or nil.
func NewRetryBudget(percent int, old *RetryBudget) *RetryBudget {
	b := &RetryBudget{percent: uint64(orDefault(percent, 20))}
	if old != nil {
		b.seconds, b.refusals = old.seconds, old.refusals
		return b
	}
	b.seconds, b.refusals = new([budgetSeconds + 1]atomic.Uint64), new(atomic.Uint64)
	return b
}

// Request counts a request, not its retries.
func (b *RetryBudget) Request(now int64) { b.add(now, requestUnit) }

// Withdraw asks for one retry.
func (b *RetryBudget) Withdraw(now int64) bool {
	requests, retries := b.Spent(now)
	if (retries+1)*100 > requests*b.percent+budgetFloor*budgetSeconds*100 {
		b.refusals.Add(1)
		return false
	}
	b.add(now, 1)
	return true
}

// Refused is how many retries were not allowed since the start.
func (b *RetryBudget) Refused() uint64 { return b.refusals.Load() }

// Spent is the number of requests and retries of the last 10 s.
func (b *RetryBudget) Spent(now int64) (requests, retries uint64) {
	second := secondOf(now)
	for i := range b.seconds {
		w := b.seconds[i].Load()
		if age := (second - w>>secondOffset) & secondMask; age < budgetSeconds {
			requests += w >> retryBits & requestMask
			retries += w & retryMask
		}
	}
	return requests, retries
}

func (b *RetryBudget) add(now int64, unit uint64) {
	second := secondOf(now)
	slot := &b.seconds[now/int64(time.Second)%int64(len(b.seconds))]
	for {
		w := slot.Load()
		if w>>secondOffset == second && w != 0 {
			slot.Add(unit)
			return
		}
		if slot.CompareAndSwap(w, second<<secondOffset|unit) {
			return
		}
	}
}

// secondOf starts at 1, so that words which were never written are old.
func secondOf(now int64) uint64 { return uint64(now/int64(time.Second)+budgetSeconds+1) & secondMask }
