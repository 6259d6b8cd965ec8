package traffic_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tatami-platform/tatami/examples/shop/internal/traffic"
)

func TestRate(t *testing.T) {
	day := 24 * time.Hour
	tests := []struct {
		name string
		kind traffic.Kind
		at   map[time.Duration]float64
	}{
		{"steady", traffic.Steady, map[time.Duration]float64{0: 10, 6 * time.Hour: 10, 12 * time.Hour: 10, 100 * day: 10}},
		{"step", traffic.Step, map[time.Duration]float64{0: 10, 12*time.Hour - 1: 10, 12 * time.Hour: 50, day - 1: 50, day: 10, day + 13*time.Hour: 50}},
		{"wave", traffic.Wave, map[time.Duration]float64{0: 10, 6 * time.Hour: 30, 12 * time.Hour: 50, 18 * time.Hour: 30, day: 10, 3*day + 12*time.Hour: 50}},
		{"burst", traffic.Burst, map[time.Duration]float64{0: 50, 2 * time.Hour: 50, 144 * time.Minute: 10, 20 * time.Hour: 10, day: 50}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := traffic.Pattern{Kind: tt.kind, Base: 10, Peak: 50, Period: day}
			for elapsed, want := range tt.at {
				if got := p.Rate(elapsed); math.Abs(got-want) > 1e-9 {
					t.Errorf("after %s: %g, want %g", elapsed, got, want)
				}
			}
			for elapsed := time.Duration(0); elapsed < 2*day; elapsed += 7 * time.Minute {
				if got := p.Rate(elapsed); got < 10-1e-9 || got > 50+1e-9 {
					t.Fatalf("after %s: %g is outside of base and peak", elapsed, got)
				}
			}
		})
	}
	if len(traffic.Kinds()) != len(tests) {
		t.Errorf("%d kinds, %d tested", len(traffic.Kinds()), len(tests))
	}
}

// generate runs a generator for a time of the test's clock and returns how many
// visits began and how many were dropped.
func generate(t *testing.T, p traffic.Pattern, maxVisits int, visit, duration time.Duration) (begun, dropped int) {
	t.Helper()
	var mu sync.Mutex
	g := &traffic.Generator{
		Pattern: p, MaxVisits: maxVisits, Target: func(float64) {}, Dropped: func() { dropped++ },
		Visit: func(context.Context, int) {
			mu.Lock()
			begun++
			mu.Unlock()
			time.Sleep(visit)
		},
	}
	ended := make(chan error, 1)
	go func() { ended <- g.Serve(t.Context()) }()
	time.Sleep(duration + 5*time.Millisecond)
	g.Stop()
	g.Stop() // Twice is harmless.
	if err := <-ended; err != nil {
		t.Error(err)
	}
	return begun, dropped
}

func TestGeneratorKeepsTheRate(t *testing.T) {
	tests := []struct {
		name    string
		pattern traffic.Pattern
		// Requests are the integral of the rate over ten minutes.
		requests float64
	}{
		{"steady", traffic.Pattern{Kind: traffic.Steady, Base: 40}, 40 * 600},
		{"slow", traffic.Pattern{Kind: traffic.Steady, Base: 0.1}, 60},
		{"step", traffic.Pattern{Kind: traffic.Step, Base: 10, Peak: 50, Period: 10 * time.Minute}, 30 * 600},
		{"wave", traffic.Pattern{Kind: traffic.Wave, Base: 10, Peak: 50, Period: 5 * time.Minute}, 30 * 600},
		{"burst", traffic.Pattern{Kind: traffic.Burst, Base: 10, Peak: 50, Period: time.Minute}, 14 * 600},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun, dropped := generate(t, tt.pattern, 1000, time.Second, 10*time.Minute)
				got := float64(begun * traffic.RequestsPerVisit)
				if math.Abs(got-tt.requests) > 0.002*tt.requests+traffic.RequestsPerVisit || dropped != 0 {
					t.Errorf("%g requests in ten minutes, want %g; %d visits dropped", got, tt.requests, dropped)
				}
			})
		})
	}
}

// TestGeneratorIsOpenLoop: a shop that never answers gets as many customers,
// up to the bound; the others are counted.
func TestGeneratorIsOpenLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, dropped := generate(t, traffic.Pattern{Kind: traffic.Steady, Base: 40}, 50, time.Hour, time.Minute)
		if begun != 50 || begun+dropped < 595 || begun+dropped > 605 {
			t.Errorf("%d begun, %d dropped, want 50 and 550", begun, dropped)
		}
	})
}

func TestGeneratorDoesNotMakeUpForSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held, visits := false, 0
		var mu sync.Mutex
		g := &traffic.Generator{
			Pattern: traffic.Pattern{Kind: traffic.Steady, Base: 400}, MaxVisits: 10_000, Dropped: func() {},
			Visit: func(context.Context, int) {
				mu.Lock()
				defer mu.Unlock()
				visits++
			},
			Target: func(float64) {
				if !held {
					held = true
					time.Sleep(8 * time.Hour) // The machine sleeps.
				}
			},
		}
		ctx, cancel := context.WithTimeout(t.Context(), 8*time.Hour+time.Second)
		defer cancel()
		if err := g.Serve(ctx); err != nil {
			t.Error(err)
		}
		if visits > 210 {
			t.Errorf("%d visits after the night, want about 200", visits)
		}
	})
}

// till is a shop that fails at one request.
type till struct {
	failAt string
	seen   []string
}

var errClosed = errors.New("closed")

func (s *till) at(request, detail string) error {
	s.seen = append(s.seen, request+":"+detail)
	if request == s.failAt {
		return errClosed
	}
	return nil
}

func (s *till) Page(_ context.Context, user string) error { return s.at("page", user) }

func (s *till) Products(context.Context) ([]string, error) {
	return []string{"cup", "mat"}, s.at("products", "")
}

func (s *till) Add(_ context.Context, user, sku string, quantity int) error {
	return s.at("add", user+"/"+sku+strings.Repeat("+", quantity))
}

func (s *till) Checkout(_ context.Context, _, key string) error { return s.at("checkout", key) }

func TestVisit(t *testing.T) {
	all := []string{"page:visitor-2", "products:", "add:visitor-2/cup+", "checkout:r-12"}
	for i, failAt := range []string{"page", "products", "add", "checkout"} {
		shop := &till{failAt: failAt}
		var failures []string
		customer := &traffic.Customer{Shop: shop, Run: "r", Users: 10, Observe: func(request string, _ time.Duration, err error) {
			if err != nil {
				failures = append(failures, request)
			}
		}}
		customer.Visit(t.Context(), 12)
		if !slices.Equal(shop.seen, all[:i+1]) || !slices.Equal(failures, []string{failAt}) {
			t.Errorf("failing at %s: requests %v, failures %v", failAt, shop.seen, failures)
		}
	}
	if len(all) != traffic.RequestsPerVisit {
		t.Errorf("a visit makes %d requests, RequestsPerVisit says %d", len(all), traffic.RequestsPerVisit)
	}
}
