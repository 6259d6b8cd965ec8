package deploy

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"github.com/tatami-platform/tatami/internal/control"
)

const fieldManager = "tatami"

// definitionWait is how long a new CustomResourceDefinition may take to serve.
const definitionWait = 10 * time.Second

// Applier applies objects by server-side apply.
type Applier struct {
	client dynamic.Interface
	mapper *restmapper.DeferredDiscoveryRESTMapper
}

// NewApplier uses the rights of cfg.
func NewApplier(cfg *rest.Config) (*Applier, error) {
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, err
	}
	typed, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, err
	}
	return &Applier{
		client: client,
		mapper: restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(typed.Discovery())),
	}, nil
}

// Apply applies all objects, namespaces and definitions first. Applying the
// same again changes nothing.
func (a *Applier) Apply(ctx context.Context, objects []Object) error {
	sorted := slices.Clone(objects)
	slices.SortStableFunc(sorted, func(x, y Object) int { return rank(x.GetKind()) - rank(y.GetKind()) })
	for _, o := range sorted {
		if err := a.applyOne(ctx, o); err != nil {
			return &control.Problem{
				What: fmt.Sprintf("could not apply %s %s", o.GetKind(), o.GetName()),
				Why:  fmt.Errorf("%s: %w", o.Source, err),
				Next: "mend it and run the command again; applying twice is safe",
			}
		}
	}
	return nil
}

func rank(kind string) int {
	switch kind {
	case "Namespace":
		return 0
	case "CustomResourceDefinition":
		return 1
	case "ServiceAccount", "ConfigMap", "Secret", "PriorityClass":
		return 2
	default:
		return 3
	}
}

func (a *Applier) applyOne(ctx context.Context, o Object) error {
	mapping, err := a.mapping(ctx, o)
	if err != nil {
		return err
	}
	var target dynamic.ResourceInterface = a.client.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		ns := o.GetNamespace()
		if ns == "" {
			ns = metav1.NamespaceDefault
		}
		target = a.client.Resource(mapping.Resource).Namespace(ns)
	}
	_, err = target.Apply(ctx, o.GetName(), o.Unstructured, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
	return err
}

// mapping waits for a kind that was defined a moment ago.
func (a *Applier) mapping(ctx context.Context, o Object) (*meta.RESTMapping, error) {
	gvk := o.GroupVersionKind()
	deadline := time.Now().Add(definitionWait)
	for {
		m, err := a.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
		if err == nil || !meta.IsNoMatchError(err) || time.Now().After(deadline) || ctx.Err() != nil {
			return m, err
		}
		a.mapper.Reset()
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}
