package route

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/tatami-platform/tatami/internal/core/connect"
)

func weighted(weights ...uint32) *Weights {
	var backends []connect.Backend
	for _, w := range weights {
		backends = append(backends, connect.Backend{Weight: w})
	}
	return sequences{}.weigh(backends)
}

// deviation is the largest distance of a backend from its share, in requests,
// over any run of the given length among the next total requests.
func deviation(w *Weights, weights []uint32, run, total int) float64 {
	sum := 0.0
	for _, weight := range weights {
		sum += float64(weight)
	}
	seen := make([]int, 0, total)
	counts := make([]int, len(weights))
	worst := 0.0
	for n := range total {
		seen = append(seen, w.Next())
		counts[seen[n]]++
		if n >= run {
			counts[seen[n-run]]--
		}
		if n < run-1 {
			continue
		}
		for i, weight := range weights {
			off := float64(counts[i]) - float64(run)*float64(weight)/sum
			worst = max(worst, off, -off)
		}
	}
	return worst
}

// aheadOrBehind is the largest distance from a share after any number of requests
// from the first; 0 for weights without a sequence.
func aheadOrBehind(w *Weights, weights []uint32) float64 {
	sum, worst := 0.0, 0.0
	for _, weight := range weights {
		sum += float64(weight)
	}
	counts := make([]float64, len(weights))
	for n := range len(w.slots) {
		counts[w.Next()]++
		for i, weight := range weights {
			off := counts[i] - float64(n+1)*float64(weight)/sum
			worst = max(worst, off, -off)
		}
	}
	return worst
}

func TestWeightsWithinOnePercent(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	cases := [][]uint32{
		{90, 10},
		{1, 1},
		{70, 20, 10},
		{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
		{1, 1_000_000},
		{1_000_000, 1, 1, 1},
		{999_983, 17, 3},
		{500_000, 499_999},
		{1, 1022},
		{1, 1023},
		{1, 1024},
	}
	for range 300 {
		limit := pick(r, []int{10, 1000, 1_000_000})
		weights := make([]uint32, 2+r.IntN(15))
		for i := range weights {
			weights[i] = uint32(1 + r.IntN(limit))
		}
		cases = append(cases, weights)
	}
	worst, exact := 0.0, 0.0
	for _, weights := range cases {
		w := weighted(weights...)
		off := deviation(w, weights, 500, 4000)
		if off > 5 {
			t.Errorf("%v: %.2f requests of 500 from the share, want at most 5", weights, off)
		}
		if w.slots != nil {
			exact = max(exact, off)
			continue
		}
		worst = max(worst, off)
	}
	t.Logf("worst: %.2f requests with slots, %.2f without", exact, worst)
	for _, weights := range cases {
		if off := aheadOrBehind(weighted(weights...), weights); off >= 1 {
			t.Errorf("%v: after some request a backend is %.2f from its share, want below 1", weights, off)
		}
	}
	if exact >= 2 {
		t.Errorf("a sequence is %.2f requests from a share, want below 2", exact)
	}
}

// A backend with the smallest weight is not forgotten.
func TestWeightsServeTheSmallest(t *testing.T) {
	w := weighted(1_000_000, 1)
	count := 0
	for range 20_000_020 {
		count += w.Next()
	}
	if count < 18 || count > 22 {
		t.Errorf("weight 1 of 1,000,001 got %d of 20,000,020 requests, want 20", count)
	}
}

func TestWeightsEdges(t *testing.T) {
	if got := weighted().Next(); got != -1 {
		t.Errorf("no backends: %d, want -1", got)
	}
	if got := weighted(0, 0).Next(); got != -1 {
		t.Errorf("weights of 0: %d, want -1", got)
	}
	if got := weighted(0, 7, 0).Next(); got != 1 {
		t.Errorf("one weight: %d, want 1", got)
	}
	for _, w := range []*Weights{weighted(3, 0, 2), weighted(333_333, 0, 2)} {
		for range 1000 {
			if w.Next() == 1 {
				t.Fatal("a backend of weight 0 got a request")
			}
		}
	}
	if w := weighted(1_000_000, 999_999); len(w.slots) > maxSlots || len(w.ends) != 2 {
		t.Errorf("a sequence of %d places, want it bounded", len(w.slots))
	}
	if w := weighted(500_000, 250_000); len(w.slots) != 3 {
		t.Errorf("2:1 takes %d places, want 3", len(w.slots))
	}
}

// Any number of threads share one sequence: together they are exact.
func TestWeightsConcurrently(t *testing.T) {
	w := weighted(7, 2, 1)
	counts := make([][3]int, 8)
	var wg sync.WaitGroup
	for i := range counts {
		wg.Go(func() {
			for range 1000 {
				counts[i][w.Next()]++
			}
		})
	}
	wg.Wait()
	var sum [3]int
	for _, c := range counts {
		for i := range sum {
			sum[i] += c[i]
		}
	}
	if sum != [3]int{5600, 1600, 800} {
		t.Errorf("got %v, want exactly 5600, 1600, 800", sum)
	}
}
