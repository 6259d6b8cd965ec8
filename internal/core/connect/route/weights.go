package route

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"

	"github.com/tatami-platform/tatami/internal/core/connect"
)

const (
	// maxSlots bounds a precomputed sequence, in bytes: weights in per mille fit.
	maxSlots = 1024
	// maxWeight is that of the Gateway API.
	maxWeight = 1_000_000
	// maxBackends is what a byte can number.
	maxBackends = 256
	// golden is 2^64 divided by the golden ratio.
	golden = 0x9E3779B97F4A7C15
	// cacheLine keeps the counter, which every request writes, off the lines of what
	// every request reads.
	cacheLine = 64
)

// Weights hands out backends in proportion to their weights, smoothly, to any
// number of threads at once: the n-th request of all takes the n-th place of one
// sequence.
//
// As long as the weights divided by their greatest common divisor add up to at
// most 1,024 the sequence is Tijdeman's: after every request each backend is less
// than one request from its share, so over any run it is less than two. Beyond,
// it is the additive recurrence of the golden ratio, which needs no memory: over
// any run of n requests a backend is within about 1 + log2(n)/3 requests of its
// share (5 in 500, tested), and in the long run exact however small its weight.
//
// Source: R. Tijdeman, The chairman assignment problem, 1980; H. Niederreiter,
// Random Number Generation and Quasi-Monte Carlo Methods, 1992, chapter 3.
type Weights struct {
	next  atomic.Uint64
	_     [cacheLine - 8]byte
	slots []uint8
	// ends are the cumulative weights when there are too many slots.
	ends []uint64
	only int // the one backend that gets all; -1: none
	many bool
}

// Next is the number of the backend of the next request; -1: no backend has a
// weight. Lock-free, no memory.
func (w *Weights) Next() int {
	if w == nil {
		return -1
	}
	if !w.many {
		return w.only
	}
	n := w.next.Add(1) - 1
	if w.slots != nil {
		return int(w.slots[n%uint64(len(w.slots))])
	}
	at, _ := bits.Mul64(n*golden, w.ends[len(w.ends)-1])
	for i, end := range w.ends {
		if at < end {
			return i
		}
	}
	return len(w.ends) - 1
}

// sequences keeps what was computed for weights during one Compile: routes tend to
// have the same.
type sequences map[string][]uint8

// weigh compiles weights; nil: none is above 0.
func (s sequences) weigh(backends []connect.Backend) *Weights {
	var total, divisor uint64
	only, used := -1, 0
	for i := range backends {
		weight := uint64(backends[i].Weight)
		if weight == 0 {
			continue
		}
		total += weight
		divisor = gcd(divisor, weight)
		only = i
		used++
	}
	if used == 0 {
		return nil
	}
	w := &Weights{only: only, many: used > 1}
	switch {
	case used == 1:
	case total/divisor <= maxSlots:
		w.slots = s.sequence(backends, divisor, total/divisor)
	default:
		w.ends = make([]uint64, len(backends))
		end := uint64(0)
		for i := range backends {
			end += uint64(backends[i].Weight)
			w.ends[i] = end
		}
	}
	return w
}

func (s sequences) sequence(backends []connect.Backend, divisor, total uint64) []uint8 {
	shares := make([]int64, len(backends))
	var key []byte
	for i := range backends {
		shares[i] = int64(uint64(backends[i].Weight) / divisor)
		key = binary.AppendUvarint(key, uint64(shares[i]))
	}
	if slots, ok := s[string(key)]; ok {
		return slots
	}
	slots := tijdeman(shares, int64(total))
	s[string(key)] = slots
	return slots
}

// tijdeman computes one period. Of the backends that may take place n without
// getting ahead of their share it takes the one that would first fall behind.
// All is multiplied by the total and by 2k-2, so that it stays in integers.
// O(places x backends).
func tijdeman(shares []int64, total int64) []uint8 {
	k := int64(0)
	for _, share := range shares {
		if share > 0 {
			k++
		}
	}
	scale := 2*k - 2
	slots := make([]uint8, total)
	given := make([]int64, len(shares))
	for n := range total {
		best, bestNum, bestDen := -1, int64(0), int64(1)
		for i, share := range shares {
			due := share*(n+1) - given[i]*total // times total
			if share == 0 || due*scale < total {
				continue
			}
			// The time until due reaches the limit of 1 - 1/scale.
			num := total*(scale-1) - due*scale
			if best < 0 || num*bestDen < bestNum*share {
				best, bestNum, bestDen = i, num, share
			}
		}
		slots[n] = uint8(best)
		given[best]++
	}
	return slots
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
