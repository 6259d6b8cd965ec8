package domain_test

import (
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/tatami-platform/tatami/examples/shop/internal/domain"
)

func TestMoneyString(t *testing.T) {
	tests := []struct {
		name   string
		amount domain.Money
		want   string
	}{
		{"zero", 0, "$0.00"},
		{"dollars and cents", 4*domain.Dollar + 90*domain.Cent, "$4.90"},
		{"negative", -5 * domain.Cent, "-$0.05"},
		{"one nano-dollar", 1, "$0.000000001"},
		{"trailing zeros go", 1_234_500_000, "$1.2345"},
		{"largest", math.MaxInt64, "$9223372036.854775807"},
		{"smallest", math.MinInt64, "-$9223372036.854775808"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.amount.String(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// TestMoneyIsExactOrRefuses compares with arithmetic that cannot overflow.
func TestMoneyIsExactOrRefuses(t *testing.T) {
	random := seeded(t)
	edges := []int64{0, 1, -1, math.MaxInt64, math.MinInt64, math.MaxInt64 / 2, math.MinInt64 / 2}
	draw := func() int64 {
		if random.IntN(3) == 0 {
			return edges[random.IntN(len(edges))]
		}
		return int64(random.Uint64()) >> random.IntN(63)
	}
	for range 20_000 {
		a, b := draw(), draw()
		sum, err := domain.Money(a).Add(domain.Money(b))
		exact(t, "sum", new(big.Int).Add(big.NewInt(a), big.NewInt(b)), sum, err)
		product, err := domain.Money(a).Times(int(b))
		exact(t, "product", new(big.Int).Mul(big.NewInt(a), big.NewInt(b)), product, err)
	}
}

func exact(t *testing.T, what string, want *big.Int, got domain.Money, err error) {
	t.Helper()
	if want.IsInt64() {
		if err != nil || int64(got) != want.Int64() {
			t.Fatalf("%s: got %d, %v; want %s", what, got, err, want)
		}
	} else if !errors.Is(err, domain.ErrOverflow) {
		t.Fatalf("%s %s: got %d, %v; want overflow", what, want, got, err)
	}
}

func TestPercentDownNeverExceedsTheShare(t *testing.T) {
	random := seeded(t)
	for range 5_000 {
		amount, percent := domain.Money(random.Int64()), random.IntN(101)
		got := amount.PercentDown(percent)
		share := new(big.Int).Mul(big.NewInt(int64(amount)), big.NewInt(int64(percent)))
		share.Div(share, big.NewInt(100))
		missing := new(big.Int).Sub(share, big.NewInt(int64(got)))
		if missing.Sign() < 0 || missing.Cmp(big.NewInt(int64(domain.Cent))) > 0 || got%domain.Cent != 0 {
			t.Fatalf("%d%% of %s is %s, a share of %s less %s", percent, amount, got, share, missing)
		}
	}
}

// seeded returns randomness and prints its seed where the test fails.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 1))
}
