package deploy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
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

// accountWait is how long the controllers may take to make the service account
// "default" of a new namespace.
const accountWait = 10 * time.Second

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
	deadline := time.Now().Add(accountWait)
	for {
		_, err = target.Apply(ctx, o.GetName(), o.Unstructured, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
		if !lacksAccount(err) || time.Now().After(deadline) || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// lacksAccount says that a pod was refused because its namespace is so new that
// a controller has yet to make the service account in it. The API gives no code
// for it, only words; it costs no more than the wait if they change.
func lacksAccount(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), `serviceaccount "default" not found`)
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
