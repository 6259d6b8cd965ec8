package domain

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// Money is an amount in nano-USD (one billionth of a dollar). An int64 holds
// 9.2 billion dollars, and sums of it are exact.
type Money int64

// Units of money.
const (
	Cent   Money = 10_000_000
	Dollar Money = 100 * Cent
)

// ErrOverflow means that an amount does not fit into Money.
var ErrOverflow = errors.New("amount is too large")

// Add returns m + n, or ErrOverflow.
func (m Money) Add(n Money) (Money, error) {
	if (n > 0 && m > math.MaxInt64-n) || (n < 0 && m < math.MinInt64-n) {
		return 0, fmt.Errorf("%s plus %s: %w", m, n, ErrOverflow)
	}
	return m + n, nil
}

// Times returns m multiplied by a quantity, or ErrOverflow.
func (m Money) Times(quantity int) (Money, error) {
	if m == 0 || quantity == 0 {
		return 0, nil
	}
	product := m * Money(quantity)
	if product/Money(quantity) != m || (m == math.MinInt64 && quantity == -1) {
		return 0, fmt.Errorf("%d times %s: %w", quantity, m, ErrOverflow)
	}
	return product, nil
}

// PercentDown returns percent hundredths of a non-negative amount, rounded down
// to a whole cent: a discount never promises more than it says.
func (m Money) PercentDown(percent int) Money {
	// Whole and rest apart, so that the product cannot overflow.
	share := m/100*Money(percent) + m%100*Money(percent)/100
	return share - share%Cent
}

// String writes dollars with at least two and at most nine decimals: "$4.90".
func (m Money) String() string {
	sign, abs := "", uint64(m)
	if m < 0 {
		sign, abs = "-", uint64(-(m+1))+1 // -MinInt64 does not fit into int64.
	}
	fraction := fmt.Sprintf("%09d", abs%uint64(Dollar))
	cents, rest := fraction[:2], strings.TrimRight(fraction[2:], "0")
	return fmt.Sprintf("%s$%d.%s%s", sign, abs/uint64(Dollar), cents, rest)
}
