package kube

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tatami-platform/tatami/internal/adapter/kube/manifest"
	"github.com/tatami-platform/tatami/internal/control"
)

// Workloads implements control.Workloads.
type Workloads struct {
	// Now is the moment for which budgets with a schedule are judged.
	Now func() time.Time
	// Charts renders Helm charts; without it they are refused.
	Charts manifest.Charts
}

// Read implements control.Workloads.
func (w Workloads) Read(ctx context.Context, from control.Sources) (control.Demand, error) {
	d, err := w.demand(ctx, from)
	if err != nil {
		return control.Demand{}, err
	}
	if len(d.Snapshot.Demand) == 0 {
		return control.Demand{}, nothing(d)
	}
	if from.Current != "" {
		if err := w.current(ctx, from.Current, &d); err != nil {
			return control.Demand{}, err
		}
	}
	return d, nil
}

func (w Workloads) demand(ctx context.Context, from control.Sources) (control.Demand, error) {
	switch {
	case from.Live && len(from.Paths) > 0:
		return control.Demand{}, &control.Problem{
			What: "cannot read manifests and a cluster at once",
			Next: "use either -f or --context; -f with --current compares manifests with nodes of today",
		}
	case from.Live:
		return w.live(ctx, from)
	case len(from.Paths) == 0:
		return control.Demand{}, &control.Problem{
			What: "there is nothing to plan",
			Next: "name manifests with -f, or a cluster with --context",
		}
	}
	set, err := manifest.Read(ctx, from, w.Charts)
	if err != nil {
		return control.Demand{}, err
	}
	inv := newInventory(from.Namespace)
	inv.notCovered, inv.tally.only = set.Skipped, from.Namespace
	if err := inv.addAll(set.Objects); err != nil {
		return control.Demand{}, err
	}
	d, err := inv.demand(from, w.Now())
	d.Name, d.Digest = name(from.Paths), set.Digest()
	return d, err
}

var errNoPods = errors.New("none of what was read makes pods")

// nothing names what was found instead of pods, because that is often the
// reason.
func nothing(d control.Demand) error {
	err := errNoPods
	if len(d.NotCovered) > 0 {
		first := d.NotCovered[0]
		err = fmt.Errorf("%w; %s: %s", errNoPods, first.Object, first.Why)
	}
	return &control.Problem{
		What: "there is nothing to plan in " + d.Name,
		Why:  err,
		Next: "name files or a namespace with Deployments, Pods or other workloads",
	}
}
