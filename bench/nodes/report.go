package main

import (
	"runtime/debug"
	"slices"

	"github.com/tatami-platform/tatami/bench/machine"
)

// report is the output. Its JSON keys are a contract.
type report struct {
	Machine machine.Machine `json:"machine"`
	// LoadAverage is that of the minute before. Above the number of cores less
	// one, times are longer than they need be: look at CPUMillis.
	LoadAverage float64 `json:"loadAverage"`
	// Karpenter is the version of the module.
	Karpenter string `json:"karpenter"`
	// Quick says that cases were a tenth of their size: figures to look at only.
	Quick   bool     `json:"quick"`
	Cases   []result `json:"cases"`
	Targets []target `json:"targets"`
}

// result is one case.
type result struct {
	Name string `json:"name"`
	Kind kind   `json:"kind"`
	// Pods in Groups that differ; machines of Types can be bought in Offers.
	Pods   int `json:"pods"`
	Groups int `json:"groups"`
	Types  int `json:"types"`
	Offers int `json:"offers"`

	Tatami    ours    `json:"tatami"`
	Model     *answer `json:"karpenterModel,omitempty"`
	Karpenter *answer `json:"karpenter,omitempty"`

	// Failures are parts that gave no answer.
	Failures []string `json:"failures,omitempty"`

	ratios
}

// ratios compare the answers of a case; 0 where there is nothing to compare.
type ratios struct {
	// OverBound and FirstOverBound are our last and first price by the bound.
	OverBound      float64 `json:"costOverBound"`
	FirstOverBound float64 `json:"firstCostOverBound"`
	// OverKarpenter is our price by Karpenter's, ModelOverKarpenter the model's.
	OverKarpenter      float64 `json:"costOverKarpenter,omitempty"`
	ModelOverKarpenter float64 `json:"modelOverKarpenter,omitempty"`
	// KarpenterOverBound is Karpenter's price by our bound.
	KarpenterOverBound float64 `json:"karpenterOverBound,omitempty"`
	// PodsPerSecond is that of our first answer that costs no more than
	// Karpenter's, on one core; Karpenter's is on all.
	PodsPerSecond          float64 `json:"podsPerSecond,omitempty"`
	KarpenterPodsPerSecond float64 `json:"karpenterPodsPerSecond,omitempty"`
	SpeedUp                float64 `json:"speedUp,omitempty"`
}

func newResult(c benchCase, quick bool) (result, error) {
	s, err := c.snapshot(quick)
	if err != nil {
		return result{}, err
	}
	r := result{Name: c.name, Kind: c.kind, Groups: len(s.Demand), Offers: len(s.Offers)}
	types := map[string]bool{}
	for _, o := range s.Offers {
		types[o.Shape.Name] = true
	}
	r.Types = len(types)
	for _, g := range s.Demand {
		r.Pods += g.Count
	}
	return r, nil
}

// of is where a part's figures go.
func (r *result) of(p part) any {
	switch p {
	case modelPart:
		r.Model = &answer{}
		return r.Model
	case karpenterPart:
		r.Karpenter = &answer{}
		return r.Karpenter
	default:
		return &r.Tatami
	}
}

// compare computes the ratios. An answer that leaves other pods pending is not
// cheaper, it is another one; one that breaks rules is none.
func (r *result) compare() {
	t := &r.Tatami
	r.OverBound = ratio(t.Last, t.Last.Bound.Dollars())
	r.FirstOverBound = ratio(t.First, t.Last.Bound.Dollars())
	k := r.Karpenter
	if k == nil || k.TimedOut || k.Pending != t.Last.Pending || t.violations() > 0 {
		return
	}
	r.OverKarpenter = ratio(t.Last, k.Hourly.Dollars())
	r.KarpenterOverBound = ratio(*k, t.Last.Bound.Dollars())
	if r.Model != nil && r.Model.Pending == k.Pending && r.Model.Violations == 0 {
		r.ModelOverKarpenter = ratio(*r.Model, k.Hourly.Dollars())
	}
	r.KarpenterPodsPerSecond = perSecond(r.Pods, k.Millis)
	for _, a := range []answer{t.First, t.Within, t.Last} {
		if a.Hourly <= k.Hourly && a.Pending == k.Pending {
			r.PodsPerSecond = perSecond(r.Pods, a.Millis)
			r.SpeedUp = r.PodsPerSecond / r.KarpenterPodsPerSecond
			break
		}
	}
}

func ratio(a answer, by float64) float64 {
	if by == 0 {
		return 0
	}
	return a.Hourly.Dollars() / by
}

func perSecond(pods int, millis float64) float64 {
	return float64(pods) / max(millis, 0.001) * 1000
}

// violations sums those of our answers.
func (o ours) violations() int { return o.First.Violations + o.Within.Violations + o.Last.Violations }

func karpenterVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	i := slices.IndexFunc(info.Deps, func(m *debug.Module) bool { return m.Path == "sigs.k8s.io/karpenter" })
	if i < 0 {
		return ""
	}
	return info.Deps[i].Version
}
