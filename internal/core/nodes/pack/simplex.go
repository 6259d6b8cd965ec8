package pack

import "math"

// lp is a linear program in the form that column generation needs: minimise
// cost·x with every row's sum at least its right-hand side, x ≥ 0, and columns
// added as they are found. Revised simplex with a dense inverse of the basis;
// m rows take m² numbers and m² operations for each pivot.
type lp struct {
	m    int
	rhs  []float64
	cols []column
	// basis holds for each row the basic column; surplus of row r is -1-r.
	basis  []int
	inv    []float64 // m×m, row by row
	x      []float64 // values of the basic columns
	dual   []float64
	pivots int
	w      []float64 // scratch
}

// column is a way to help some rows at a cost.
type column struct {
	cost float64
	rows []int32
	vals []float64
	// load is what the column stands for; nil for one that only starts the basis.
	load *Load
}

const (
	lpZero   = 1e-9
	askEvery = 32  // pivots between two questions whether to stop
	refactor = 150 // pivots after which the inverse is computed anew
	ties     = 1e-11
)

// newLP starts from a diagonal basis: column r must help row r only.
func newLP(rhs []float64, start []column) *lp {
	m := len(rhs)
	l := &lp{
		m: m, rhs: rhs, cols: start, basis: make([]int, m), inv: make([]float64, m*m),
		x: make([]float64, m), dual: make([]float64, m), w: make([]float64, m),
	}
	for r := range m {
		l.basis[r] = r
		l.inv[r*m+r] = 1 / start[r].vals[0]
		l.x[r] = rhs[r] / start[r].vals[0]
	}
	l.price()
	return l
}

// price computes the duals of the basis.
func (l *lp) price() {
	clear(l.dual)
	for r, j := range l.basis {
		if j < 0 {
			continue
		}
		c := l.cols[j].cost
		if c == 0 {
			continue
		}
		row := l.inv[r*l.m : (r+1)*l.m]
		for i, v := range row {
			l.dual[i] += c * v
		}
	}
}

// reduced is the cost of a column less what its rows are worth.
func (l *lp) reduced(c *column) float64 {
	d := c.cost
	for k, r := range c.rows {
		d -= l.dual[r] * c.vals[k]
	}
	return d
}

// solve pivots until no column improves, or stop says so. The number of pivots
// is bounded, for the largest coefficient as a rule can go round in circles.
func (l *lp) solve(stop func() bool) {
	for n := range 2000 + 50*l.m {
		if n%askEvery == askEvery-1 && stop() {
			return
		}
		enter, best := 0, 0.0
		found := false
		for j := range l.cols {
			c := &l.cols[j]
			if d := l.reduced(c); d < -1e-7*(math.Abs(c.cost)+lpZero) && d < best {
				enter, best, found = j, d, true
			}
		}
		for r, y := range l.dual {
			if y < best && y < -lpZero {
				enter, best, found = -1-r, y, true
			}
		}
		if !found || !l.pivot(enter, best) {
			return
		}
	}
}

// pivot brings a column into the basis, whose reduced cost is given; false when
// nothing bounds it.
func (l *lp) pivot(enter int, reduced float64) bool {
	w := l.w
	l.direction(enter, w)
	leave, ratio := -1, math.Inf(1)
	for r, v := range w {
		if v <= 1e-9 {
			continue
		}
		if q := math.Max(l.x[r], 0) / v; q < ratio-ties || q < ratio+ties && v > w[leave] {
			leave, ratio = r, q
		}
	}
	if leave < 0 {
		return false
	}
	l.replace(leave, enter, w, ratio)
	if l.pivots++; l.pivots%refactor == 0 {
		l.invert()
		l.price()
		return true
	}
	for i, v := range l.inv[leave*l.m : (leave+1)*l.m] {
		l.dual[i] += reduced * v
	}
	return true
}

// direction is how the basic columns give way when one enters.
func (l *lp) direction(enter int, w []float64) {
	m := l.m
	clear(w)
	if enter < 0 {
		for r := range m {
			w[r] = -l.inv[r*m-1-enter]
		}
		return
	}
	c := &l.cols[enter]
	for r := range m {
		row, sum := l.inv[r*m:(r+1)*m], 0.0
		for k, i := range c.rows {
			sum += row[i] * c.vals[k]
		}
		w[r] = sum
	}
}

func (l *lp) replace(leave, enter int, w []float64, ratio float64) {
	m := l.m
	pivotRow := l.inv[leave*m : (leave+1)*m]
	scale := 1 / w[leave]
	for i := range pivotRow {
		pivotRow[i] *= scale
	}
	for r := range m {
		if r == leave || w[r] == 0 {
			continue
		}
		l.x[r] -= ratio * w[r]
		row, f := l.inv[r*m:(r+1)*m], w[r]
		for i, v := range pivotRow {
			row[i] -= f * v
		}
	}
	l.x[leave], l.basis[leave] = ratio, enter
}

// invert computes the inverse anew by Gauss and Jordan, against the errors that
// pivots gather. A basis that has become singular is left as it is.
func (l *lp) invert() {
	m := l.m
	a, inv := make([]float64, m*m), make([]float64, m*m)
	for k, j := range l.basis {
		inv[k*m+k] = 1
		if j < 0 {
			a[(-1-j)*m+k] = -1
			continue
		}
		for i, r := range l.cols[j].rows {
			a[int(r)*m+k] = l.cols[j].vals[i]
		}
	}
	if !eliminate(a, inv, m) {
		return
	}
	l.inv = inv
	for r := range m {
		sum := 0.0
		for i, v := range inv[r*m : (r+1)*m] {
			sum += v * l.rhs[i]
		}
		l.x[r] = sum
	}
}

// eliminate turns a into the identity and applies the same steps to inv.
func eliminate(a, inv []float64, m int) bool {
	for k := range m {
		p := k
		for r := k + 1; r < m; r++ {
			if math.Abs(a[r*m+k]) > math.Abs(a[p*m+k]) {
				p = r
			}
		}
		if math.Abs(a[p*m+k]) < 1e-12 {
			return false
		}
		if p != k {
			for i := range m {
				a[p*m+i], a[k*m+i] = a[k*m+i], a[p*m+i]
				inv[p*m+i], inv[k*m+i] = inv[k*m+i], inv[p*m+i]
			}
		}
		scale := 1 / a[k*m+k]
		for i := range m {
			a[k*m+i] *= scale
			inv[k*m+i] *= scale
		}
		for r := range m {
			f := a[r*m+k]
			if r == k || f == 0 {
				continue
			}
			ak, ar := a[k*m:(k+1)*m], a[r*m:(r+1)*m]
			ik, ir := inv[k*m:(k+1)*m], inv[r*m:(r+1)*m]
			for i := range m {
				ar[i] -= f * ak[i]
				ir[i] -= f * ik[i]
			}
		}
	}
	return true
}

// objective is the cost of the current values.
func (l *lp) objective() float64 {
	sum := 0.0
	for r, j := range l.basis {
		if j >= 0 {
			sum += l.cols[j].cost * l.x[r]
		}
	}
	return sum
}
