package kube

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/tatami-platform/tatami/internal/control"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// tally counts objects that are listed by kind, not one by one.
type tally struct {
	// only is the namespace that was asked for; empty is all.
	only    string
	paid    map[string]*heap // by kind: they cost money outside of nodes
	foreign map[string]*heap // by kind: nobody knows what they mean
	claims  int
	disk    resource.Quantity
}

type heap struct {
	detail string
	refs   []workload.Ref
}

func (t *tally) add(kind, detail string, ref workload.Ref) {
	if !t.wants(ref.Namespace) {
		return
	}
	if t.paid == nil {
		t.paid = map[string]*heap{}
	}
	put(t.paid, kind, detail, ref)
}

func (t *tally) unknown(ref workload.Ref) {
	if !t.wants(ref.Namespace) {
		return
	}
	if t.foreign == nil {
		t.foreign = map[string]*heap{}
	}
	put(t.foreign, ref.Kind, "", ref)
}

// wants says whether objects of a namespace, or of none, are asked for.
func (t *tally) wants(namespace string) bool {
	return t.only == "" || namespace == "" || namespace == t.only
}

func put(heaps map[string]*heap, kind, detail string, ref workload.Ref) {
	h := heaps[kind]
	if h == nil {
		h = &heap{detail: detail}
		heaps[kind] = h
	}
	h.refs = append(h.refs, ref)
}

func (t *tally) claim(spec *corev1.PersistentVolumeClaimSpec, n int) {
	t.claims += n
	size := spec.Resources.Requests[corev1.ResourceStorage]
	size.Mul(int64(n))
	t.disk.Add(size)
}

func (t *tally) list() []control.NotCovered {
	var out []control.NotCovered
	for _, kind := range slices.Sorted(maps.Keys(t.paid)) {
		h := t.paid[kind]
		out = append(out, h.entry(kind, fmt.Sprintf("%s %s: it costs money that is not in the answer", count(len(h.refs), kind), h.detail)))
	}
	if t.claims > 0 {
		const kind = "PersistentVolumeClaim"
		why := fmt.Sprintf("%s of %s together: disks cost money that is not in the answer", count(t.claims, kind), t.disk.String())
		out = append(out, control.NotCovered{Object: workload.Ref{Kind: kind}, Why: why})
	}
	for _, kind := range slices.Sorted(maps.Keys(t.foreign)) {
		h := t.foreign[kind]
		out = append(out, h.entry(kind, count(len(h.refs), kind)+" of a kind that is not known here: pods that it makes are not counted"))
	}
	return out
}

// entry names the object when there is just one.
func (h *heap) entry(kind, why string) control.NotCovered {
	if len(h.refs) == 1 {
		return control.NotCovered{Object: h.refs[0], Why: why}
	}
	const shown = 3
	var names []string
	for _, r := range h.refs[:min(shown, len(h.refs))] {
		names = append(names, strings.TrimPrefix(r.String(), r.Kind+"/"))
	}
	if len(h.refs) > shown {
		names = append(names, "…")
	}
	return control.NotCovered{Object: workload.Ref{Kind: kind}, Why: why + " (" + strings.Join(names, ", ") + ")"}
}

func count(n int, kind string) string {
	if n == 1 {
		return "1 " + kind
	}
	return fmt.Sprintf("%d objects %s", n, kind)
}
