package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/tatami-platform/tatami/internal/control"
)

// api is as much of an API server as applying needs: discovery, and patches
// that are written down.
type api struct {
	*httptest.Server
	mu      sync.Mutex
	patches []string
	bodies  []string
	// kinds are served from the moment at which they are in it.
	kinds map[string]metav1.APIResourceList
	// refuse answers a path with an error.
	refuse string
}

func newAPI(t *testing.T) *api {
	t.Helper()
	a := &api{kinds: map[string]metav1.APIResourceList{
		"v1": {GroupVersion: "v1", APIResources: []metav1.APIResource{
			{Name: "namespaces", Kind: "Namespace"},
			{Name: "configmaps", Kind: "ConfigMap", Namespaced: true},
			{Name: "services", Kind: "Service", Namespaced: true},
		}},
		"apiextensions.k8s.io/v1": {GroupVersion: "apiextensions.k8s.io/v1", APIResources: []metav1.APIResource{
			{Name: "customresourcedefinitions", Kind: "CustomResourceDefinition"},
		}},
		"apps/v1": {GroupVersion: "apps/v1", APIResources: []metav1.APIResource{
			{Name: "deployments", Kind: "Deployment", Namespaced: true},
		}},
	}}
	a.Server = httptest.NewServer(http.HandlerFunc(a.serve))
	t.Cleanup(a.Close)
	return a
}

func (a *api) serve(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if r.Method == http.MethodPatch {
		a.patch(w, r)
		return
	}
	switch path := strings.Trim(r.URL.Path, "/"); path {
	case "api":
		reply(w, metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}})
	case "apis":
		list := metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}}
		for gv := range a.kinds {
			if group, version, ok := strings.Cut(gv, "/"); ok {
				v := metav1.GroupVersionForDiscovery{GroupVersion: gv, Version: version}
				list.Groups = append(list.Groups, metav1.APIGroup{Name: group, Versions: []metav1.GroupVersionForDiscovery{v}, PreferredVersion: v})
			}
		}
		reply(w, list)
	default:
		list, ok := a.kinds[strings.TrimPrefix(strings.TrimPrefix(path, "apis/"), "api/")]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		list.TypeMeta = metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}
		reply(w, list)
	}
}

func reply(w io.Writer, v any) { _ = json.NewEncoder(w).Encode(v) }

func (a *api) patch(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if a.refuse != "" && strings.HasSuffix(r.URL.Path, a.refuse) {
		w.WriteHeader(http.StatusForbidden)
		reply(w, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Message: "not allowed", Reason: metav1.StatusReasonForbidden, Code: 403})
		return
	}
	a.patches = append(a.patches, r.URL.Path)
	a.bodies = append(a.bodies, r.Header.Get("Content-Type")+" "+r.URL.Query().Get("fieldManager")+" "+r.URL.Query().Get("force"))
	if strings.Contains(r.URL.Path, "customresourcedefinitions") {
		// A real one serves a new kind a moment later.
		time.AfterFunc(300*time.Millisecond, func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.kinds["example.com/v1"] = metav1.APIResourceList{GroupVersion: "example.com/v1", APIResources: []metav1.APIResource{{Name: "things", Kind: "Thing"}}}
		})
	}
	_, _ = w.Write(body)
}

func (a *api) apply(ctx context.Context, t *testing.T, text string) error {
	t.Helper()
	objects, err := Parse("x.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	applier, err := NewApplier(&rest.Config{Host: a.URL, QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	return applier.Apply(ctx, objects)
}

func object(version, kind, name, namespace string) string {
	text := "---\napiVersion: " + version + "\nkind: " + kind + "\nmetadata:\n  name: " + name + "\n"
	if namespace != "" {
		text += "  namespace: " + namespace + "\n"
	}
	return text
}

// TestApply: what others depend on comes first, and otherwise the order is the
// written one.
func TestApply(t *testing.T) {
	a := newAPI(t)
	if err := a.apply(t.Context(), t, object("apps/v1", "Deployment", "web", "shop")+
		object("v1", "Service", "web", "shop")+
		object("v1", "ConfigMap", "b", "shop")+
		object("v1", "ConfigMap", "a", "")+
		object("example.com/v1", "Thing", "one", "")+
		object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "things.example.com", "")+
		object("v1", "Namespace", "shop", "")); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"/api/v1/namespaces/shop",
		"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.example.com",
		"/api/v1/namespaces/shop/configmaps/b",
		"/api/v1/namespaces/default/configmaps/a",
		"/apis/apps/v1/namespaces/shop/deployments/web",
		"/api/v1/namespaces/shop/services/web",
		"/apis/example.com/v1/things/one",
	}
	if !slices.Equal(a.patches, want) {
		t.Errorf("applied\n%s\nwant\n%s", strings.Join(a.patches, "\n"), strings.Join(want, "\n"))
	}
	for _, how := range a.bodies {
		if how != "application/apply-patch+yaml tatami true" {
			t.Errorf("applied with %q", how)
		}
	}
}

func TestApplySaysWhatFailed(t *testing.T) {
	a := newAPI(t)
	a.refuse = "/configmaps/bad"
	err := a.apply(t.Context(), t, object("v1", "ConfigMap", "good", "")+object("v1", "ConfigMap", "bad", "")+object("v1", "ConfigMap", "late", ""))
	var p *control.Problem
	if !errors.As(err, &p) || p.What != "could not apply ConfigMap bad" || !strings.Contains(p.Why.Error(), "x.yaml, document 2") || p.Next == "" {
		t.Errorf("error %v", err)
	}
	if want := []string{"/api/v1/namespaces/default/configmaps/good"}; !slices.Equal(a.patches, want) {
		t.Errorf("applied %v, want %v", a.patches, want)
	}
}

// TestApplyOfAnUnknownKind ends with the context, long before the time that a
// definition may take.
func TestApplyOfAnUnknownKind(t *testing.T) {
	a := newAPI(t)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	began := time.Now()
	err := a.apply(ctx, t, object("example.org/v1", "Ghost", "boo", ""))
	if err == nil || !strings.Contains(err.Error(), "Ghost") {
		t.Errorf("error %v", err)
	}
	if took := time.Since(began); took > definitionWait/2 {
		t.Errorf("took %s", took)
	}
	if len(a.patches) > 0 {
		t.Errorf("applied %v", a.patches)
	}
}
