package unit

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// NanoUSD is an amount of money in billionths of a dollar. The range is ±9.2
// billion dollars; one pod-second is still exact.
type NanoUSD int64

// USD is one dollar.
const USD NanoUSD = 1_000_000_000

// HoursPerMonth is what hourly prices are multiplied by, as AWS's calculator
// does.
const HoursPerMonth = 730

// MaxUSD is the largest amount; sums that would exceed it stop there.
const MaxUSD = NanoUSD(math.MaxInt64)

// ErrMoney is wrapped by errors of [ParseUSD].
var ErrMoney = errors.New("not an amount in dollars")

// ParseUSD reads a decimal number of dollars such as "0.204" exactly. Digits
// beyond the ninth decimal are rounded half up, away from zero.
func ParseUSD(s string) (NanoUSD, error) {
	body, negative := strings.CutPrefix(s, "-")
	whole, frac, _ := strings.Cut(body, ".")
	if whole+frac == "" || strings.Trim(whole+frac, "0123456789") != "" {
		return 0, fmt.Errorf("%q: %w", s, ErrMoney)
	}
	digits := (frac + "000000000")[:9]
	n, err := strconv.ParseUint(strings.TrimLeft(whole, "0")+digits, 10, 64)
	if len(frac) > 9 && frac[9] >= '5' && n < math.MaxUint64 {
		n++
	}
	if err != nil || n > limit(negative) {
		return 0, fmt.Errorf("%q: %w: beyond 9.2 billion dollars", s, ErrMoney)
	}
	return signed(n, negative), nil
}

// Dollars is the amount as a floating-point number, for charts and ratios only.
func (m NanoUSD) Dollars() float64 { return float64(m) / float64(USD) }

// String is the exact amount in dollars without trailing zeros, e.g. "0.204".
func (m NanoUSD) String() string {
	sign, n := "", uint64(m)
	if m < 0 {
		sign, n = "-", -n
	}
	s := fmt.Sprintf("%s%d.%09d", sign, n/uint64(USD), n%uint64(USD))
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// Cents is the amount rounded half away from zero to two decimals, with groups
// of three digits, e.g. "1,234.50".
func (m NanoUSD) Cents() string {
	sign, n := "", uint64(m)
	if m < 0 {
		sign, n = "-", -n
	}
	n = (n + 5_000_000) / 10_000_000
	if n == 0 {
		sign = ""
	}
	whole := strconv.FormatUint(n/100, 10)
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	return fmt.Sprintf("%s%s.%02d", sign, whole, n%100)
}

// MarshalJSON writes the exact amount in dollars as a JSON number.
func (m NanoUSD) MarshalJSON() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalJSON reads a JSON number of dollars. One with an exponent is only as
// exact as a floating-point number.
func (m *NanoUSD) UnmarshalJSON(b []byte) error {
	text := string(b)
	if text == "null" {
		return nil
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && strings.ContainsAny(text, "eE") {
		text = strconv.FormatFloat(f, 'f', -1, 64)
	}
	n, err := ParseUSD(text)
	if err != nil {
		return err
	}
	*m = n
	return nil
}

// Plus adds; it stops at the ends of the range.
func (m NanoUSD) Plus(o NanoUSD) NanoUSD { return NanoUSD(add(int64(m), int64(o))) }

// Times multiplies; it stops at the ends of the range.
func (m NanoUSD) Times(n int64) NanoUSD { return NanoUSD(mul(int64(m), n)) }

// Monthly is the price of a month for a price per hour.
func (m NanoUSD) Monthly() NanoUSD { return m.Times(HoursPerMonth) }

// MulDiv is m × num ÷ den, exact in between and rounded half away from zero; it
// stops at the ends of the range. It is 0 when den is 0.
func (m NanoUSD) MulDiv(num, den int64) NanoUSD {
	if den == 0 || num == 0 || m == 0 {
		return 0
	}
	negative := (m < 0) != (num < 0) != (den < 0)
	d := magnitude(den)
	hi, lo := bits.Mul64(magnitude(int64(m)), magnitude(num))
	lo, carry := bits.Add64(lo, d/2, 0)
	hi += carry
	q := limit(negative)
	if hi < d {
		exact, _ := bits.Div64(hi, lo, d)
		q = min(q, exact)
	}
	return signed(q, negative)
}

// Split divides total by weights so that the parts sum to it exactly: each part
// is rounded down, and what is left goes to the largest remainders, the first
// of equals first. Without a positive weight the first part takes all.
func Split(total NanoUSD, weights []int64) []NanoUSD {
	parts := make([]NanoUSD, len(weights))
	if len(weights) == 0 {
		return parts
	}
	sum, shift := total64(weights)
	if sum == 0 {
		parts[0] = total
		return parts
	}
	sign, whole := NanoUSD(1), magnitude(int64(total))
	if total < 0 {
		sign = -1
	}
	order := make([]int, len(weights))
	rest := make([]uint64, len(weights))
	left := whole
	for i, w := range weights {
		order[i] = i
		hi, lo := bits.Mul64(whole, uint64(max(w, 0))>>shift)
		var q uint64
		q, rest[i] = bits.Div64(hi, lo, sum)
		left -= q
		parts[i] = sign * NanoUSD(q)
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rest[b], rest[a]) })
	for i := range left {
		parts[order[i]] += sign
	}
	return parts
}

// total64 sums the positive weights after a shift to the right that lets the
// sum fit into 63 bits: what is lost is less than the shares can show.
func total64(weights []int64) (sum uint64, shift int) {
	var hi, lo, carry uint64
	for _, w := range weights {
		lo, carry = bits.Add64(lo, uint64(max(w, 0)), 0)
		hi += carry
	}
	if hi > 0 {
		shift = bits.Len64(hi) + 1
	} else {
		shift = max(bits.Len64(lo)-63, 0)
	}
	for _, w := range weights {
		sum += uint64(max(w, 0)) >> shift
	}
	return sum, shift
}

// limit is the largest magnitude of an amount with that sign.
func limit(negative bool) uint64 {
	if negative {
		return 1 << 63
	}
	return math.MaxInt64
}

// signed is the amount of that magnitude, which is at most the limit.
func signed(n uint64, negative bool) NanoUSD {
	if negative {
		return NanoUSD(-n)
	}
	return NanoUSD(n)
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

func add(a, b int64) int64 {
	c := a + b
	switch {
	case a > 0 && b > 0 && c < 0:
		return math.MaxInt64
	case a < 0 && b < 0 && c >= 0:
		return math.MinInt64
	}
	return c
}

// sub is not add(a, -b): the smallest number has no opposite.
func sub(a, b int64) int64 {
	c := a - b
	switch {
	case a >= 0 && b < 0 && c < 0:
		return math.MaxInt64
	case a < 0 && b > 0 && c >= 0:
		return math.MinInt64
	}
	return c
}

func mul(a, b int64) int64 {
	negative := (a < 0) != (b < 0)
	hi, lo := bits.Mul64(magnitude(a), magnitude(b))
	if hi > 0 || lo > limit(negative) {
		lo = limit(negative)
	}
	return int64(signed(lo, negative))
}
