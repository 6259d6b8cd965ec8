package kube

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"

	"github.com/tatami-platform/tatami/internal/adapter/kube/cluster"
	"github.com/tatami-platform/tatami/internal/adapter/kube/manifest"
	"github.com/tatami-platform/tatami/internal/control"
)

// kinds are listed in this order: pods last, when everything that explains them
// is known.
func kinds() []cluster.Kind {
	return []cluster.Kind{
		{Version: "v1", Resource: "namespaces", Kind: "Namespace"},
		{Version: "v1", Resource: "nodes", Kind: "Node"},
		{Version: "v1", Resource: "persistentvolumes", Kind: "PersistentVolume"},
		{Version: "v1", Resource: "persistentvolumeclaims", Kind: "PersistentVolumeClaim", Namespaced: true},
		{Version: "v1", Resource: "services", Kind: "Service", Namespaced: true},
		{Group: "storage.k8s.io", Version: "v1", Resource: "storageclasses", Kind: "StorageClass"},
		{Group: "apps", Version: "v1", Resource: "replicasets", Kind: "ReplicaSet", Namespaced: true, MetadataOnly: true},
		{Group: "batch", Version: "v1", Resource: "jobs", Kind: "Job", Namespaced: true, MetadataOnly: true},
		{Group: "apps", Version: "v1", Resource: "daemonsets", Kind: "DaemonSet", Namespaced: true},
		{Group: "policy", Version: "v1", Resource: "poddisruptionbudgets", Kind: "PodDisruptionBudget", Namespaced: true},
		{Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers", Kind: "HorizontalPodAutoscaler", Namespaced: true},
		{Group: "keda.sh", Version: "v1alpha1", Resource: "scaledobjects", Kind: "ScaledObject", Namespaced: true},
		{Group: "karpenter.sh", Version: "v1", Resource: "nodepools", Kind: "NodePool"},
		{Group: "karpenter.k8s.aws", Version: "v1", Resource: "ec2nodeclasses", Kind: "EC2NodeClass"},
		{Version: "v1", Resource: "pods", Kind: "Pod", Namespaced: true},
	}
}

// reading is one pass over a cluster.
type reading struct {
	client    *cluster.Client
	from      control.Sources
	inv       *inventory
	pods      *gathering
	digest    hash.Hash
	forbidden []string
}

func (w Workloads) live(ctx context.Context, from control.Sources) (control.Demand, error) {
	client, err := cluster.Connect(from.Kubeconfig, from.Context)
	if err != nil {
		return control.Demand{}, err
	}
	keep, err := filter(from)
	if err != nil {
		return control.Demand{}, err
	}
	inv := newInventory("")
	inv.lenient = true
	r := &reading{client: client, from: from, inv: inv, pods: newGathering(inv, keep), digest: sha256.New()}
	for _, k := range kinds() {
		if err := r.list(ctx, k); err != nil {
			return control.Demand{}, err
		}
	}
	d, err := r.pods.demand(w.Now())
	if err != nil {
		return control.Demand{}, err
	}
	d.Name, d.Digest, d.Forbidden = "cluster "+client.Context, hex.EncodeToString(r.digest.Sum(nil)), r.forbidden
	return d, nil
}

// list reads one kind. Whoever may not list it in the whole cluster may have the
// right to do so in the namespace that was asked for.
func (r *reading) list(ctx context.Context, k cluster.Kind) error {
	use := func(items []json.RawMessage) error { return r.page(k, items) }
	err := r.client.List(ctx, k, "", use)
	if errors.Is(err, cluster.ErrForbidden) {
		where := k.String()
		if k.Namespaced && r.from.Namespace != "" {
			where += " outside of namespace " + r.from.Namespace
			err = r.client.List(ctx, k, r.from.Namespace, use)
		}
		r.forbidden = append(r.forbidden, where)
	}
	switch {
	case errors.Is(err, cluster.ErrForbidden) && k.Kind == "Pod":
		return &control.Problem{
			What: "cannot plan for " + r.client.Context,
			Why:  err,
			Next: "name a namespace whose pods you may list with -n, or plan from manifests with -f",
		}
	case errors.Is(err, cluster.ErrForbidden), errors.Is(err, cluster.ErrAbsent):
		return nil
	}
	return err
}

func (r *reading) page(k cluster.Kind, items []json.RawMessage) error {
	for _, item := range items {
		r.digest.Write(item)
		var err error
		switch k.Kind {
		case "Pod":
			err = r.pods.read(item)
		case "ReplicaSet", "Job":
			err = r.pods.link(k.Kind, item)
		default:
			err = r.inv.add(manifest.Object{At: "the cluster", APIVersion: k.APIVersion(), Kind: k.Kind, JSON: item})
		}
		if err != nil {
			return err
		}
	}
	return nil
}
