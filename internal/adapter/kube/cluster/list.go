package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/tatami-platform/tatami/internal/control"
)

// pageSize is how many objects are asked for at a time.
const pageSize = 500

// maxRestarts is how often a list may lose its state before it is given up.
const maxRestarts = 5

// Kind says what to list.
type Kind struct {
	Group, Version, Resource string
	// Kind of the objects.
	Kind string
	// MetadataOnly asks for names, labels and owners only.
	MetadataOnly bool
	// Namespaced kinds can be listed in one namespace when the whole cluster is
	// forbidden.
	Namespaced bool
}

// APIVersion is group and version in one.
func (k Kind) APIVersion() string {
	if k.Group == "" {
		return k.Version
	}
	return k.Group + "/" + k.Version
}

// String is the resource with its group, as kubectl names it.
func (k Kind) String() string {
	if k.Group == "" {
		return k.Resource
	}
	return k.Resource + "." + k.Group
}

// The two answers of a cluster that are no failure.
var (
	// ErrForbidden says that we may not list the kind.
	ErrForbidden = errors.New("forbidden")
	// ErrAbsent says that the cluster does not know the kind.
	ErrAbsent = errors.New("not served by the cluster")
)

// page is a part of a list.
type page struct {
	Metadata struct {
		Continue string `json:"continue"`
	} `json:"metadata"`
	Items []json.RawMessage `json:"items"`
}

// List hands on every object of a kind, page by page; namespace "" is all of
// them.
func (c *Client) List(ctx context.Context, k Kind, namespace string, use func(items []json.RawMessage) error) error {
	for next, restarts := "", 0; ; {
		raw, err := c.get(ctx, k, namespace, next)
		expired := next != "" && (apierrors.IsGone(err) || apierrors.IsResourceExpired(err))
		if err != nil && !expired {
			return explain(k, err)
		}
		var p page
		if err := json.Unmarshal(raw, &p); err != nil {
			return fmt.Errorf("list of %s: %w", k, err)
		}
		if expired {
			// The list took longer than the server keeps its state; it offers a
			// token by which to go on with the present one.
			if restarts++; p.Metadata.Continue == "" || restarts > maxRestarts {
				return explain(k, err)
			}
		}
		if err := use(p.Items); err != nil {
			return err
		}
		if next = p.Metadata.Continue; next == "" {
			return nil
		}
	}
}

func (c *Client) get(ctx context.Context, k Kind, namespace, next string) ([]byte, error) {
	root := "/apis"
	if k.Group == "" {
		root = "/api"
	}
	path := []string{root, k.APIVersion()}
	if namespace != "" {
		path = append(path, "namespaces", namespace)
	}
	req := c.rest.Get().AbsPath(append(path, k.Resource)...).Param("limit", strconv.Itoa(pageSize))
	if next != "" {
		req = req.Param("continue", next)
	}
	accept := "application/json"
	if k.MetadataOnly {
		accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
	}
	return req.SetHeader("Accept", accept).Do(ctx).Raw()
}

func explain(k Kind, err error) error {
	switch {
	case apierrors.IsForbidden(err):
		return fmt.Errorf("list of %s: %w", k, ErrForbidden)
	case apierrors.IsNotFound(err), apierrors.IsMethodNotSupported(err):
		return fmt.Errorf("%s: %w", k, ErrAbsent)
	case apierrors.IsUnauthorized(err):
		return &control.Problem{What: "the cluster does not accept your credentials", Why: err, Next: "log in again, or name another --context"}
	}
	return &control.Problem{What: "cannot list " + k.String(), Why: err, Next: "see whether `kubectl get " + k.String() + "` works"}
}
