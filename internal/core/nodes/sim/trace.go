package sim

import (
	"cmp"
	"slices"
	"time"

	"github.com/tatami-platform/tatami/internal/core/workload"
)

// Trace is a load: how many pods of each workload are wanted over time, as
// steps.
type Trace struct {
	Name   string
	Length time.Duration
	// Points are in order of time; what no point names keeps the number of pods
	// that the demand says.
	Points []Point
}

// Point sets the load of one workload, or of all, from a moment on.
type Point struct {
	At time.Duration
	// Workload is a name, namespace/name or kind/namespace/name; empty is every
	// workload that has no points of its own.
	Workload string
	// Line of the file that it was read from; 0 without one.
	Line int
	// Factor multiplies the pods of the demand, in thousandths, rounded up. It is
	// not used when Exact is set: Replicas is then the number itself.
	Factor   int64
	Exact    bool
	Replicas int
}

// Unknown is the first point that is about a workload which no group has.
func (t Trace) Unknown(groups []workload.Group) (Point, bool) {
	known := map[string]bool{"": true}
	for i := range groups {
		r := groups[i].Owner
		known[r.String()], known[r.Namespace+"/"+r.Name], known[r.Name] = true, true, true
	}
	for _, p := range t.Points {
		if !known[p.Workload] {
			return p, true
		}
	}
	return Point{}, false
}

// Renamed is the same load for workloads that have other names now, in the order
// given: each old reference is followed by its new one.
func (t Trace) Renamed(pairs [][2]workload.Ref) Trace {
	var points []Point
	for _, p := range t.Points {
		if p.Workload == "" {
			points = append(points, p)
			continue
		}
		for _, pair := range pairs {
			if p.concerns(pair[0]) {
				p := p
				p.Workload = pair[1].String()
				points = append(points, p)
			}
		}
	}
	t.Points = points
	return t
}

// concerns says whether a point is about the workload.
func (p Point) concerns(r workload.Ref) bool {
	return p.Workload == r.String() || p.Workload == r.Namespace+"/"+r.Name || p.Workload == r.Name
}

// pods is how many pods of a group the point asks for. A group that is a part
// of its workload takes its share.
func (p Point) pods(g *workload.Group, ofOwner int) int {
	n := int64(g.Count)
	switch {
	case !p.Exact:
		n = (n*p.Factor + 999) / 1000
	case ofOwner > 0:
		n = (int64(p.Replicas)*n + int64(ofOwner) - 1) / int64(ofOwner)
	default:
		n = int64(p.Replicas)
	}
	if r := g.Replicas; r.Max > 0 {
		n = min(max(n, int64(r.Min)), int64(r.Max))
	}
	return int(n)
}

// maxMoments bounds how often a load may change; a longer trace is thinned, and
// the highest load within each stretch counts.
const maxMoments = 400

// load is a trace worked out for the groups of a demand.
type load struct {
	at   []time.Duration
	want [][]int // by moment, then by group
}

// loadOf works out how many pods of each group are wanted at each moment.
func loadOf(t Trace, groups []workload.Group) load {
	owners := map[workload.Ref]int{}
	for i := range groups {
		owners[groups[i].Owner] += groups[i].Count
	}
	named := make([]bool, len(groups))
	now := make([]int, len(groups))
	for i := range groups {
		now[i] = groups[i].Count
		named[i] = slices.ContainsFunc(t.Points, func(p Point) bool { return p.Workload != "" && p.concerns(groups[i].Owner) })
	}
	points := slices.Clone(t.Points)
	slices.SortStableFunc(points, func(a, b Point) int { return cmp.Compare(a.At, b.At) })
	l := load{at: []time.Duration{0}, want: [][]int{now}}
	for _, p := range points {
		if p.At >= t.Length {
			break
		}
		if last := l.at[len(l.at)-1]; p.At > last {
			l.at, l.want = append(l.at, p.At), append(l.want, slices.Clone(l.want[len(l.want)-1]))
		}
		row := l.want[len(l.want)-1]
		for i := range groups {
			if p.Workload == "" && !named[i] || p.Workload != "" && p.concerns(groups[i].Owner) {
				row[i] = p.pods(&groups[i], owners[groups[i].Owner])
			}
		}
	}
	return l.thin(t.Length)
}

// thin merges moments until there are few enough.
func (l load) thin(length time.Duration) load {
	if len(l.at) <= maxMoments {
		return l
	}
	var out load
	for i, at := range l.at {
		start := at.Truncate(length/maxMoments + 1)
		if n := len(out.at); n == 0 || out.at[n-1] != start {
			out.at, out.want = append(out.at, start), append(out.want, slices.Clone(l.want[i]))
			if i > 0 { // the load before goes on into this stretch
				raise(out.want[len(out.want)-1], l.want[i-1])
			}
			continue
		}
		raise(out.want[len(out.want)-1], l.want[i])
	}
	return out
}

// when is the wanted number of pods at a moment.
func (l load) when(at time.Duration) []int {
	i, found := slices.BinarySearch(l.at, at)
	if !found {
		i--
	}
	return l.want[max(i, 0)]
}

// most is the highest number of pods of each group between two moments, both
// included.
func (l load) most(from, to time.Duration) []int {
	out := slices.Clone(l.when(from))
	for i, at := range l.at {
		if at > from && at <= to {
			raise(out, l.want[i])
		}
	}
	return out
}

// raise makes each number at least the other's.
func raise(a, b []int) {
	for i := range a {
		a[i] = max(a[i], b[i])
	}
}

func sum(counts []int) int {
	n := 0
	for _, c := range counts {
		n += c
	}
	return n
}
