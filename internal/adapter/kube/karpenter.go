package kube

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tatami-platform/tatami/internal/control"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// nodePool is Karpenter's NodePool v1, as far as it decides which nodes are
// bought. Its own Go types would bring 500 packages into the small program.
type nodePool struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec struct {
		Template struct {
			Metadata struct {
				Labels      map[string]string `json:"labels"`
				Annotations map[string]string `json:"annotations"`
			} `json:"metadata"`
			Spec struct {
				Requirements  []poolRequirement `json:"requirements"`
				Taints        []corev1.Taint    `json:"taints"`
				StartupTaints []corev1.Taint    `json:"startupTaints"`
				NodeClassRef  struct {
					Group string `json:"group"`
					Kind  string `json:"kind"`
					Name  string `json:"name"`
				} `json:"nodeClassRef"`
				ExpireAfter            string `json:"expireAfter"`
				TerminationGracePeriod string `json:"terminationGracePeriod"`
			} `json:"spec"`
		} `json:"template"`
		Disruption struct {
			ConsolidationPolicy string       `json:"consolidationPolicy"`
			ConsolidateAfter    string       `json:"consolidateAfter"`
			Budgets             []poolBudget `json:"budgets"`
		} `json:"disruption"`
		Limits   corev1.ResourceList `json:"limits"`
		Weight   int                 `json:"weight"`
		Replicas *int64              `json:"replicas"`
	} `json:"spec"`
	Status map[string]any `json:"status"`
}

type poolRequirement struct {
	Key       string   `json:"key"`
	Operator  string   `json:"operator"`
	Values    []string `json:"values"`
	MinValues int      `json:"minValues"`
}

type poolBudget struct {
	Nodes    string   `json:"nodes"`
	Reasons  []string `json:"reasons"`
	Schedule string   `json:"schedule"`
	Duration string   `json:"duration"`
}

func (inv *inventory) pool(p *nodePool, now time.Time) (workload.Pool, error) {
	ref, spec := inv.ref("NodePool", p), &p.Spec.Template.Spec
	out := workload.Pool{
		Name:          p.Name,
		Weight:        p.Spec.Weight,
		Requirements:  workload.Requirements{},
		Labels:        p.Spec.Template.Metadata.Labels,
		Taints:        taints(spec.Taints),
		StartupTaints: taints(spec.StartupTaints),
		Limits:        limits(p.Spec.Limits),
		Disruption:    inv.disruption(ref, p, now),
	}
	for _, q := range spec.Requirements {
		r, err := workload.NewRequirement(workload.Operator(q.Operator), q.Values...)
		if err != nil {
			return out, &control.Problem{
				What: "cannot plan with " + ref.String(),
				Why:  fmt.Errorf("spec.template.spec.requirements: %s: %w", q.Key, err),
				Next: "correct the requirement; the operators are In, NotIn, Exists, DoesNotExist, Gt, Lt, Gte and Lte",
			}
		}
		r.MinValues = q.MinValues
		out.Requirements.Add(labelKey(q.Key), r)
	}
	if p.Spec.Replicas != nil {
		inv.note(ref, "spec.replicas", "a fixed number of nodes is not understood: the pool is taken for one that follows demand")
	}
	return out, nil
}

// limits keeps a limit of nothing apart from none, which is 0 there.
func limits(list corev1.ResourceList) *unit.Resources {
	if len(list) == 0 {
		return nil
	}
	r := resources(list)
	if _, given := list[corev1.ResourceCPU]; given {
		r.CPU = max(r.CPU, 1)
	}
	if _, given := list[corev1.ResourceMemory]; given {
		r.Memory = max(r.Memory, 1)
	}
	return &r
}

func taints(list []corev1.Taint) []workload.Taint {
	var out []workload.Taint
	for _, t := range list {
		out = append(out, workload.Taint{Key: t.Key, Value: t.Value, Effect: workload.Effect(t.Effect)})
	}
	return out
}

func (inv *inventory) disruption(ref workload.Ref, p *nodePool, now time.Time) workload.Disruption {
	spec := &p.Spec.Disruption
	out := workload.Disruption{WhenEmptyOnly: spec.ConsolidationPolicy == "WhenEmpty"}
	if after := spec.ConsolidateAfter; after == "Never" {
		out.After = -1
	} else if after != "" {
		d, err := time.ParseDuration(after)
		if err != nil {
			inv.note(ref, "spec.disruption.consolidateAfter", "it is not a duration: nodes are taken for never changed")
			d = -1
		}
		out.After = d
	}
	for _, b := range spec.Budgets {
		out.Budgets = append(out.Budgets, inv.poolBudget(ref, b, now))
	}
	return out
}

func (inv *inventory) poolBudget(ref workload.Ref, b poolBudget, now time.Time) workload.Budget {
	out := workload.Budget{Percent: -1, Reasons: b.Reasons}
	number, percent := strings.CutSuffix(b.Nodes, "%")
	if number == "" {
		number, percent = "10", true // the default of the API
	}
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 {
		inv.note(ref, "spec.disruption.budgets", "nodes: "+strconv.Quote(b.Nodes)+" is no number: no node may be changed")
		n, percent = 0, false
	}
	if percent {
		out.Percent = n
	} else {
		out.Nodes = n
	}
	active, err := inWindow(b.Schedule, b.Duration, now)
	if err != nil {
		// Karpenter lets a budget that it does not understand forbid everything.
		inv.note(ref, "spec.disruption.budgets", err.Error()+": no node may be changed")
		out.Nodes, out.Percent, active = 0, -1, true
	}
	out.Active = active
	return out
}

// inWindow says whether a schedule, in UTC, started within the duration before
// now. Without one it is always so.
func inWindow(schedule, duration string, now time.Time) (bool, error) {
	if schedule == "" && duration == "" {
		return true, nil
	}
	starts, err := cron.ParseStandard("TZ=UTC " + schedule)
	if err != nil {
		return false, err
	}
	lasts, err := time.ParseDuration(duration)
	if err != nil {
		return false, err
	}
	return !starts.Next(now.UTC().Add(-lasts)).After(now.UTC()), nil
}
