package metrics

import (
	"io"
	"strconv"
	"strings"
)

// encoder writes lines in one of the formats.
type encoder struct {
	w      io.Writer
	format Format
	b      []byte
	err    error
}

// chunk is how much is gathered before it is written.
const chunk = 32 << 10

// flush writes what is there if it is at least so much.
func (e *encoder) flush(least int) {
	if len(e.b) < least || len(e.b) == 0 {
		return
	}
	if e.err == nil {
		_, e.err = e.w.Write(e.b)
	}
	e.b = e.b[:0]
}

// family begins a metric. OpenMetrics names a family of counters without _total.
func (e *encoder) family(kind Kind, name, unit, help string) {
	e.head(prefix+name, [...]string{"counter", "gauge"}[kind], unit, help)
}

func (e *encoder) histogramFamily(name, help string) {
	e.head(prefix+name+"_seconds", "histogram", "seconds", help)
}

func (e *encoder) head(name, kind, unit, help string) {
	if e.format == FormatText && kind == "counter" {
		name += "_total"
	}
	e.b = append(append(append(append(e.b, "# HELP "...), name...), ' '), help...)
	e.b = append(append(append(append(e.b, "\n# TYPE "...), name...), ' '), kind...)
	e.b = append(e.b, '\n')
	// A unit is allowed only where the name ends with it.
	if e.format == FormatOpenMetrics && unit != "" && strings.HasSuffix(name, "_"+unit) {
		e.b = append(append(append(append(e.b, "# UNIT "...), name...), ' '), unit...)
		e.b = append(e.b, '\n')
	}
}

// value is a line that lacks its value.
type value struct{ e *encoder }

// sample begins a line with up to two parts of labels.
func (e *encoder) sample(name, labels, more string) value {
	return e.raw(prefix, name, labels, more)
}

func (e *encoder) raw(before, name, labels, more string) value {
	e.flush(chunk)
	e.b = append(append(e.b, before...), name...)
	if labels != "" || more != "" {
		e.b = append(append(e.b, '{'), labels...)
		if labels != "" && more != "" {
			e.b = append(e.b, ',')
		}
		e.b = append(append(e.b, more...), '}')
	}
	e.b = append(e.b, ' ')
	return value{e}
}

func (v value) uint(n uint64) { v.e.b = append(strconv.AppendUint(v.e.b, n, 10), '\n') }

func (v value) float(f float64) { v.e.b = append(strconv.AppendFloat(v.e.b, f, 'f', -1, 64), '\n') }

// bucketLabels are the labels of the buckets up to these limits.
func bucketLabels(limits *[bounds]int64) *[bounds + 1]string {
	var labels [bounds + 1]string
	for i, nanos := range limits {
		labels[i] = `le="` + string(number(nil, float64(nanos)/1e9)) + `"`
	}
	labels[bounds] = `le="+Inf"`
	return &labels
}

// histogram prints cumulative buckets, sum and count.
func (e *encoder) histogram(name, labels string, les *[bounds + 1]string, t *total) {
	var sum uint64
	bucket := name + "_bucket"
	for i, n := range t.buckets {
		sum += n
		e.sample(bucket, labels, les[i]).uint(sum)
	}
	e.sample(name+"_sum", labels, "").float(float64(t.nanos) / 1e9)
	e.sample(name+"_count", labels, "").uint(sum)
}
