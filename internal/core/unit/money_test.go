package unit_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tatami-platform/tatami/internal/core/unit"
)

func TestParseUSD(t *testing.T) {
	tests := []struct {
		name, text string
		want       unit.NanoUSD
	}{
		{"dollars and cents", "0.204", 204_000_000},
		{"no digit before the point", ".5", 500_000_000},
		{"no digit after it", "5.", 5 * unit.USD},
		{"zeros in front", "0007", 7 * unit.USD},
		{"negative", "-1.25", -1_250_000_000},
		{"minus zero", "-0", 0},
		{"the ninth decimal", "0.000000001", 1},
		{"the tenth rounds down", "0.0000000014", 1},
		{"the tenth rounds up", "0.0000000015", 2},
		{"rounds away from zero", "-0.0000000015", -2},
		{"rounding carries", "0.9999999999", unit.USD},
		{"largest", "9223372036.854775807", math.MaxInt64},
		{"smallest", "-9223372036.854775808", math.MinInt64},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := unit.ParseUSD(tt.text); err != nil || got != tt.want {
				t.Errorf("%d, %v; want %d", got, err, tt.want)
			}
		})
	}
	for _, bad := range []string{
		"", "-", ".", "-.", "+1", "--1", "1e3", "1,000", " 1", "1.2.3", "$1", "NaN",
		"9223372036.854775808", "9223372036.8547758075", "-9223372036.854775809", "99999999999999999999999",
	} {
		if got, err := unit.ParseUSD(bad); !errors.Is(err, unit.ErrMoney) {
			t.Errorf("%q: %v, %v; want ErrMoney", bad, got, err)
		}
	}
}

func FuzzParseUSD(f *testing.F) {
	for _, s := range []string{"0.204", "-9223372036.854775808", "9223372036.854775807", "1e3", ".", "00.0000000005"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := unit.ParseUSD(s)
		if err != nil {
			return
		}
		if exact, ok := new(big.Rat).SetString(s); ok && !strings.ContainsAny(s, "/eEpP_xXoObB") {
			off := exact.Mul(exact, big.NewRat(int64(unit.USD), 1)).Sub(exact, big.NewRat(int64(m), 1))
			if off.Abs(off).Cmp(big.NewRat(1, 2)) > 0 {
				t.Errorf("%q is read as %s", s, m)
			}
		}
		roundTrip(t, m)
	})
}

func roundTrip(t *testing.T, m unit.NanoUSD) {
	t.Helper()
	if back, err := unit.ParseUSD(m.String()); err != nil || back != m {
		t.Errorf("%d is written as %s and read as %d, %v", m, m, back, err)
	}
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var back unit.NanoUSD
	if err := json.Unmarshal(text, &back); err != nil || back != m {
		t.Errorf("%d is written as JSON %s and read as %d, %v", m, text, back, err)
	}
}

func FuzzMoneyText(f *testing.F) {
	for _, n := range []int64{0, 1, -1, math.MaxInt64, math.MinInt64, 204_000_000} {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, n int64) { roundTrip(t, unit.NanoUSD(n)) })
}

func TestMoneyJSON(t *testing.T) {
	tests := []struct {
		name, text string
		want       unit.NanoUSD
		bad        bool
	}{
		{name: "number", text: "0.096", want: 96_000_000},
		{name: "exponent, as Python writes small ones", text: "5e-05", want: 50_000},
		{name: "null keeps the value", text: "null", want: 7},
		{name: "string", text: `"0.096"`, bad: true, want: 7},
		{name: "too large", text: "1e300", bad: true, want: 7},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := unit.NanoUSD(7)
			err := json.Unmarshal([]byte(tt.text), &got)
			if got != tt.want || (err != nil) != tt.bad {
				t.Errorf("%d, %v; want %d", got, err, tt.want)
			}
		})
	}
}

func TestMoneyForPeople(t *testing.T) {
	tests := []struct {
		of           unit.NanoUSD
		exact, cents string
	}{
		{0, "0", "0.00"},
		{1, "0.000000001", "0.00"},
		{-1, "-0.000000001", "0.00"},
		{5_000_000, "0.005", "0.01"},
		{-5_000_000, "-0.005", "-0.01"},
		{4_999_999, "0.004999999", "0.00"},
		{1234*unit.USD + 500_000_000, "1234.5", "1,234.50"},
		{999_999_995_000_000, "999999.995", "1,000,000.00"},
		{-1_000 * unit.USD, "-1000", "-1,000.00"},
		{math.MinInt64, "-9223372036.854775808", "-9,223,372,036.85"},
	}
	for _, tt := range tests {
		if got := tt.of.String(); got != tt.exact {
			t.Errorf("String %s, want %s", got, tt.exact)
		}
		if got := tt.of.Cents(); got != tt.cents {
			t.Errorf("Cents %s, want %s", got, tt.cents)
		}
	}
	if got := (unit.USD / 4).Dollars(); got != 0.25 {
		t.Errorf("Dollars %v, want 0.25", got)
	}
	if got := unit.NanoUSD(100_000_000).Monthly(); got != 73*unit.USD {
		t.Errorf("Monthly %s, want 73", got)
	}
}

// saturated is n, or the end of the range of int64 that lies beyond it.
func saturated(n *big.Int) int64 {
	switch {
	case n.IsInt64():
		return n.Int64()
	case n.Sign() < 0:
		return math.MinInt64
	}
	return math.MaxInt64
}

// rounded is a/b, half away from zero.
func rounded(a, b *big.Int) *big.Int {
	negative := a.Sign()*b.Sign() < 0
	a, b = new(big.Int).Abs(a), new(big.Int).Abs(b)
	q := new(big.Int).Div(a.Lsh(a, 1).Add(a, b), new(big.Int).Lsh(b, 1))
	if negative {
		q.Neg(q)
	}
	return q
}

func FuzzArithmetic(f *testing.F) {
	ends := []int64{math.MinInt64, math.MinInt64 + 1, -3, -1, 0, 1, 2, 3, 1 << 62, math.MaxInt64}
	for _, a := range ends {
		for _, b := range ends {
			f.Add(a, b, int64(7))
			f.Add(a, int64(5), b)
		}
	}
	f.Fuzz(func(t *testing.T, a, b, c int64) {
		x, y, z := big.NewInt(a), big.NewInt(b), big.NewInt(c)
		m := unit.NanoUSD(a)
		if got, want := m.Plus(unit.NanoUSD(b)), saturated(new(big.Int).Add(x, y)); int64(got) != want {
			t.Errorf("%d + %d = %d, want %d", a, b, got, want)
		}
		product := new(big.Int).Mul(x, y)
		if got, want := m.Times(b), saturated(product); int64(got) != want {
			t.Errorf("%d × %d = %d, want %d", a, b, got, want)
		}
		r := unit.Resources{CPU: unit.MilliCPU(a)}.Minus(unit.Resources{CPU: unit.MilliCPU(b)})
		if want := saturated(new(big.Int).Sub(x, y)); int64(r.CPU) != want {
			t.Errorf("%d - %d = %d, want %d", a, b, r.CPU, want)
		}
		want := int64(0)
		if c != 0 {
			want = saturated(rounded(product, z))
		}
		if got := m.MulDiv(b, c); int64(got) != want {
			t.Errorf("%d × %d ÷ %d = %d, want %d", a, b, c, got, want)
		}
	})
}

func TestSplit(t *testing.T) {
	tests := []struct {
		name    string
		total   unit.NanoUSD
		weights []int64
		want    []unit.NanoUSD
	}{
		{"nobody", 10, nil, []unit.NanoUSD{}},
		{"even", 9, []int64{1, 1, 1}, []unit.NanoUSD{3, 3, 3}},
		{"the first of equals gets the rest", 10, []int64{1, 1, 1}, []unit.NanoUSD{4, 3, 3}},
		{"the largest remainder gets it", 10, []int64{5, 3, 3}, []unit.NanoUSD{4, 3, 3}},
		{"remainders decide, not order", 10, []int64{1, 8}, []unit.NanoUSD{1, 9}},
		{"negative totals split alike", -10, []int64{1, 1, 1}, []unit.NanoUSD{-4, -3, -3}},
		{"no weight: the first", 10, []int64{0, 0}, []unit.NanoUSD{10, 0}},
		{"negative weights count nothing", 10, []int64{-5, 1}, []unit.NanoUSD{0, 10}},
		{"sum of weights beyond 63 bits", 10, []int64{math.MaxInt64, math.MaxInt64}, []unit.NanoUSD{5, 5}},
		{
			"beyond 64 bits", 8,
			[]int64{math.MaxInt64, math.MaxInt64, math.MaxInt64, math.MaxInt64},
			[]unit.NanoUSD{2, 2, 2, 2},
		},
		{"the smallest amount", math.MinInt64, []int64{1}, []unit.NanoUSD{math.MinInt64}},
		{"tiny beside huge", 10, []int64{1, math.MaxInt64, math.MaxInt64}, []unit.NanoUSD{0, 5, 5}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := unit.Split(tt.total, tt.weights); !slices.Equal(got, tt.want) {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

func FuzzSplit(f *testing.F) {
	f.Add(int64(10), uint64(1), uint8(3), uint8(0))
	f.Add(int64(math.MinInt64), uint64(2), uint8(200), uint8(63))
	f.Add(int64(math.MaxInt64), uint64(3), uint8(255), uint8(1))
	f.Fuzz(func(t *testing.T, total int64, seed uint64, n, small uint8) {
		rng := rand.New(rand.NewPCG(seed, 1))
		weights := make([]int64, n)
		sum := new(big.Int)
		for i := range weights {
			weights[i] = int64(rng.Uint64() >> (small % 64))
			sum.Add(sum, big.NewInt(max(weights[i], 0)))
		}
		whole := new(big.Int)
		for i, p := range unit.Split(unit.NanoUSD(total), weights) {
			whole.Add(whole, big.NewInt(int64(p)))
			if sum.Sign() == 0 {
				continue
			}
			// Exact within one, and one more where large weights are shifted.
			share := new(big.Int).Mul(big.NewInt(total), big.NewInt(max(weights[i], 0)))
			off := share.Quo(share, sum).Sub(share, big.NewInt(int64(p)))
			if slack := int64(1 + len(weights)); off.CmpAbs(big.NewInt(slack)) > 0 {
				t.Errorf("part %d of weight %d is %d, %s off", i, weights[i], p, off)
			}
		}
		if n > 0 && whole.Cmp(big.NewInt(total)) != 0 {
			t.Errorf("parts of %d sum to %s", total, whole)
		}
	})
}
