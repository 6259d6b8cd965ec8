package kube

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/tatami-platform/tatami/internal/adapter/kube/manifest"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// last leaves one of the objects with the same name, in the place of the first:
// the last one counts, as with kubectl apply. That is noted unless they are equal.
func (inv *inventory) last(objects []manifest.Object) []manifest.Object {
	type identity struct {
		group string
		ref   workload.Ref
	}
	at := map[identity]int{}
	var out []manifest.Object
	for _, o := range objects {
		group, _, _ := strings.Cut(o.APIVersion, "/")
		id := identity{group, inv.identify(o)}
		i, again := at[id]
		switch {
		case id.ref.Name == "" || !again:
			at[id] = len(out)
			out = append(out, o)
		case !bytes.Equal(out[i].JSON, o.JSON):
			inv.note(id.ref, "", "it is given more than once: "+o.At+" counts, "+out[i].At+" does not")
			out[i] = o
		}
	}
	return out
}

// identify reads only the name of an object; a broken one has none, and whoever
// reads all of it says why.
func (inv *inventory) identify(o manifest.Object) workload.Ref {
	var m struct {
		Metadata struct {
			Name      string `json:"name"`
			Namespace string `json:"namespace"`
		} `json:"metadata"`
	}
	if json.Unmarshal(o.JSON, &m) != nil {
		return workload.Ref{}
	}
	ref := workload.Ref{Kind: o.Kind, Namespace: m.Metadata.Namespace, Name: m.Metadata.Name}
	if ref.Namespace == "" && namespaced(o.Kind) {
		ref.Namespace = inv.namespace
	}
	return ref
}
