package stream

import (
	"testing"
	"time"
)

func TestDelay(t *testing.T) {
	o := Options{}.withDefaults()
	for _, x := range []struct {
		failures int
		random   float64
		want     time.Duration
	}{
		{1, 0, 125 * time.Millisecond},
		{1, 1, 250 * time.Millisecond},
		{2, 1, 500 * time.Millisecond},
		{5, 0.5, 3 * time.Second},
		{8, 1, 30 * time.Second},
		{1_000_000, 0, 15 * time.Second},
	} {
		if got := delay(o, x.failures, x.random); got != x.want {
			t.Errorf("after %d failures, at %v: %v, want %v", x.failures, x.random, got, x.want)
		}
	}
}
