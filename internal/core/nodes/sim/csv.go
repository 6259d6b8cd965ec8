package sim

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrTrace is wrapped by errors of [ParseCSV].
var ErrTrace = errors.New("not a load trace")

// What a trace file may hold at most.
const (
	maxRows     = 200_000
	maxReplicas = 1_000_000
	maxLength   = 366 * day
)

// ParseCSV reads a trace. The first line names the columns: "time" (an offset
// such as 90s or 1h30m, a number of seconds, or a time as RFC 3339 writes it),
// "replicas" or "factor", and "workload" when the rows are not about all. The
// last value holds as long as the one before it.
func ParseCSV(name string, r io.Reader) (Trace, error) {
	in := csv.NewReader(r)
	in.Comment, in.TrimLeadingSpace, in.ReuseRecord = '#', true, true
	header, err := in.Read()
	if err != nil {
		return Trace{}, fmt.Errorf("%s: %w: no header line", name, ErrTrace)
	}
	cols, err := columnsOf(header)
	if err != nil {
		return Trace{}, fmt.Errorf("%s: %w", name, err)
	}
	points, err := readPoints(in, cols)
	if err == nil && len(points) == 0 {
		err = fmt.Errorf("%w: no rows", ErrTrace)
	}
	if err != nil {
		return Trace{}, fmt.Errorf("%s: %w", name, err)
	}
	return Trace{Name: name, Points: points, Length: lengthOf(points)}, nil
}

func readPoints(in *csv.Reader, cols columns) ([]Point, error) {
	var points []Point
	var start time.Time
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			return points, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrTrace, err)
		}
		p, err := cols.point(row, &start)
		p.Line, _ = in.FieldPos(0)
		switch {
		case err != nil:
		case len(points) >= maxRows:
			err = fmt.Errorf("%w: more than %d rows", ErrTrace, maxRows)
		case len(points) > 0 && p.At < points[len(points)-1].At:
			err = fmt.Errorf("%w: the time goes back", ErrTrace)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", p.Line, err)
		}
		points = append(points, p)
	}
}

// columns are indexes; -1 is a column that is not there.
type columns struct{ time, replicas, factor, workload int }

func columnsOf(header []string) (columns, error) {
	find := func(name string) int {
		return slices.IndexFunc(header, func(h string) bool { return strings.EqualFold(strings.TrimSpace(h), name) })
	}
	c := columns{find("time"), find("replicas"), find("factor"), find("workload")}
	if c.time < 0 || (c.replicas < 0) == (c.factor < 0) {
		return c, fmt.Errorf("%w: the header must name time, one of replicas and factor, and perhaps workload", ErrTrace)
	}
	return c, nil
}

func (c columns) point(row []string, start *time.Time) (Point, error) {
	var p Point
	var err error
	if p.At, err = offset(strings.TrimSpace(row[c.time]), start); err != nil {
		return p, err
	}
	if c.workload >= 0 {
		p.Workload = strings.TrimSpace(row[c.workload])
	}
	if c.replicas >= 0 {
		n, err := strconv.Atoi(strings.TrimSpace(row[c.replicas]))
		if err != nil || n < 0 || n > maxReplicas {
			return p, fmt.Errorf("%w: replicas %q must be a whole number from 0 to %d", ErrTrace, row[c.replicas], maxReplicas)
		}
		p.Exact, p.Replicas = true, n
		return p, nil
	}
	f, err := strconv.ParseFloat(strings.TrimSpace(row[c.factor]), 64)
	if err != nil || !(f >= 0 && f <= 100_000) {
		return p, fmt.Errorf("%w: factor %q must be a number from 0 to 100000", ErrTrace, row[c.factor])
	}
	p.Factor = int64(math.Round(f * 1000))
	return p, nil
}

// offset reads a time; the first absolute one is the start.
func offset(text string, start *time.Time) (time.Duration, error) {
	if s, err := strconv.ParseFloat(text, 64); err == nil && s >= 0 && s <= maxLength.Seconds() {
		return time.Duration(s * float64(time.Second)), nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 && d <= maxLength {
		return d, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return 0, fmt.Errorf("%w: time %q must be an offset such as 90s, seconds, or a time such as 2026-11-23T10:00:00Z", ErrTrace, text)
	}
	if start.IsZero() {
		*start = at
	}
	d := at.Sub(*start)
	if d < 0 || d > maxLength {
		return 0, fmt.Errorf("%w: time %q is before the first or more than a year after it", ErrTrace, text)
	}
	return d, nil
}

// lengthOf lets the last value hold as long as the one before it; a single one
// holds for a day.
func lengthOf(points []Point) time.Duration {
	last := points[len(points)-1].At
	for _, p := range slices.Backward(points) {
		if p.At < last {
			return last + (last - p.At)
		}
	}
	return last + day
}
