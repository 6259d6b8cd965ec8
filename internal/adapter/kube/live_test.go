package kube

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/tatami-platform/tatami/internal/control"
	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// apiServer speaks the list protocol of Kubernetes: pages with tokens, metadata
// only, and errors as Status objects. Anything but a plain list fails the test.
type apiServer struct {
	t         testing.TB
	lists     map[string][]map[string]any // by path
	forbidden map[string]bool
	// expire makes each list lose its state once, at its second page.
	expire bool
	asked  []string
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if r.Method != http.MethodGet || q.Has("watch") || q.Get("limit") != "500" {
		s.t.Errorf("%s %s: only lists by pages are allowed", r.Method, r.URL)
	}
	s.asked = append(s.asked, r.URL.Path)
	items, known := s.lists[r.URL.Path]
	switch {
	case s.forbidden[r.URL.Path]:
		s.status(w, http.StatusForbidden, "Forbidden", "")
		return
	case !known:
		s.status(w, http.StatusNotFound, "NotFound", "")
		return
	}
	at, _ := strconv.Atoi(strings.TrimPrefix(q.Get("continue"), "again-"))
	if s.expire && at > 0 && !strings.HasPrefix(q.Get("continue"), "again-") {
		s.status(w, http.StatusGone, "Expired", "again-"+strconv.Itoa(at))
		return
	}
	const few = 3 // the server may give less than was asked for
	end := min(at+few, len(items))
	meta := map[string]any{"resourceVersion": "7"}
	if end < len(items) {
		meta["continue"] = strconv.Itoa(end)
	}
	page := slices.Clone(items[at:end])
	if strings.Contains(r.Header.Get("Accept"), "PartialObjectMetadataList") {
		for i := range page {
			page[i] = map[string]any{"metadata": page[i]["metadata"]}
		}
	}
	w.Header().Set("Content-Type", "application/json")
	s.send(w, map[string]any{"kind": "List", "apiVersion": "v1", "metadata": meta, "items": page})
}

func (s *apiServer) status(w http.ResponseWriter, code int, reason, next string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	s.send(w, map[string]any{
		"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code,
		"message": reason + " by the test", "metadata": map[string]any{"continue": next},
	})
}

func (s *apiServer) send(w http.ResponseWriter, v any) {
	if err := json.NewEncoder(w).Encode(v); err != nil {
		s.t.Error(err)
	}
}

// serve starts a cluster with these objects and returns a kubeconfig for it.
func serve(tb testing.TB, s *apiServer, docs string) string {
	tb.Helper()
	s.t = tb
	if s.lists == nil {
		s.lists = map[string][]map[string]any{}
	}
	for _, path := range []string{
		"/api/v1/namespaces", "/api/v1/nodes", "/api/v1/persistentvolumes", "/api/v1/persistentvolumeclaims", "/api/v1/services", "/api/v1/pods",
		"/apis/storage.k8s.io/v1/storageclasses", "/apis/apps/v1/replicasets", "/apis/apps/v1/daemonsets", "/apis/batch/v1/jobs",
		"/apis/policy/v1/poddisruptionbudgets", "/apis/autoscaling/v2/horizontalpodautoscalers",
	} {
		s.lists[path] = []map[string]any{}
	}
	for doc := range strings.SplitSeq(docs, "\n---\n") {
		var o map[string]any
		if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
			tb.Fatal(err)
		}
		version, kind := o["apiVersion"].(string), o["kind"].(string)
		delete(o, "apiVersion") // as in real lists
		delete(o, "kind")
		path := "/apis/" + version
		if version == "v1" {
			path = "/api/v1"
		}
		plural := strings.ToLower(kind) + "s"
		if strings.HasSuffix(kind, "Class") {
			plural = strings.ToLower(kind) + "es"
		}
		s.lists[path+"/"+plural] = append(s.lists[path+"/"+plural], o)
		if meta := o["metadata"].(map[string]any); meta["namespace"] != nil {
			in := fmt.Sprintf("%s/namespaces/%s/%s", path, meta["namespace"], plural)
			s.lists[in] = append(s.lists[in], o)
		}
	}
	server := httptest.NewServer(s)
	tb.Cleanup(server.Close)
	return kubeconfig(tb, server.URL)
}

func kubeconfig(tb testing.TB, url string) string {
	tb.Helper()
	dir := write(tb, map[string]string{"config": "apiVersion: v1\nkind: Config\ncurrent-context: here\nclusters: [{name: c, cluster: {server: '" + url + "'}}]\nusers: [{name: u, user: {}}]\ncontexts: [{name: here, context: {cluster: c, user: u}}, {name: there, context: {cluster: c, user: u}}]\n"})
	return filepath.Join(dir, "config")
}

func livePod(name, owner, node, more string) string {
	kind, of, _ := strings.Cut(owner, "/")
	owners := ""
	if of != "" {
		owners = ", ownerReferences: [{apiVersion: v1, kind: " + kind + ", name: " + of + ", uid: u, controller: true}]"
	}
	if node != "" {
		node = "nodeName: " + node + ", "
	}
	return "{apiVersion: v1, kind: Pod, metadata: {name: " + name + ", namespace: shop, labels: {app: web, pod-template-hash: abc, index: i" + name + "}" + owners + more + "}, spec: {" + node +
		"containers: [{name: a, resources: {requests: {cpu: 100m, memory: 1Mi}}}]}, status: {phase: Running, startTime: '2026-09-02T11:00:00Z'}}"
}

func shop() string {
	node := func(name string) string {
		return "{apiVersion: v1, kind: Node, metadata: {name: " + name + ", creationTimestamp: '2026-09-01T00:00:00Z', labels: {kubernetes.io/hostname: " + name + ", eks.amazonaws.com/nodegroup: workers, team: x, node.kubernetes.io/instance-type: m5.large, topology.kubernetes.io/zone: us-east-1a}}, status: {allocatable: {cpu: 1930m, memory: 7Gi, pods: 29}, conditions: [{type: Ready, status: 'True'}]}}"
	}
	return join(
		node("n1"), node("n2"),
		"{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: web-abc, namespace: shop, ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: web, uid: u, controller: true}]}, spec: {replicas: 3}}",
		"{apiVersion: batch/v1, kind: Job, metadata: {name: night-1, namespace: shop, ownerReferences: [{apiVersion: batch/v1, kind: CronJob, name: night, uid: u, controller: true}]}}",
		"{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: agent, namespace: shop}, spec: {"+tpl+"}}",
		"{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: b, namespace: shop}, spec: {maxUnavailable: 3, selector: {matchLabels: {app: web}}}, status: {observedGeneration: 1, disruptionsAllowed: 1}}",
		"{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: h, namespace: shop}, spec: {scaleTargetRef: {kind: Deployment, name: web}, minReplicas: 2, maxReplicas: 3}}",
		"{apiVersion: karpenter.sh/v1, kind: NodePool, metadata: {name: default}, spec: {futureField: 1}}",
		"{apiVersion: v1, kind: Service, metadata: {name: s, namespace: shop}, spec: {type: LoadBalancer}}",
		livePod("p1", "ReplicaSet/web-abc", "n1", ""),
		livePod("p2", "ReplicaSet/web-abc", "n1", ""),
		livePod("p3", "ReplicaSet/web-abc", "n2", ""),
		livePod("p4", "ReplicaSet/web-abc", "", ""), // pending
		livePod("j1", "Job/night-1", "n2", ""),
		livePod("d1", "DaemonSet/agent", "n1", ""),
		livePod("m1", "Node/n1", "n1", ""),
		livePod("bare", "", "n2", ""),
		livePod("gone", "ReplicaSet/web-abc", "n2", ", deletionTimestamp: '2026-09-02T00:00:00Z'"),
	)
}

func TestLive(t *testing.T) {
	for _, expire := range []bool{false, true} {
		t.Run(fmt.Sprint("state is lost: ", expire), func(t *testing.T) {
			config := serve(t, &apiServer{expire: expire}, shop())
			d, err := read(t, control.Sources{Live: true, Kubeconfig: config, Context: "there"})
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]int{"Deployment/shop/web": 4, "CronJob/shop/night": 1, "Pod/shop/bare": 1}
			if got := counts(d); !maps.Equal(got, want) || len(d.Snapshot.Demand) != 3 {
				t.Errorf("%v in %d groups", got, len(d.Snapshot.Demand))
			}
			if d.Name != "cluster there" || len(d.Forbidden) != 0 || len(d.Digest) != 64 {
				t.Errorf("%q, forbidden %v", d.Name, d.Forbidden)
			}
			checkNodes(t, d)
			s := &d.Snapshot
			if s.PodBudgets[0].Allowed != 1 {
				t.Errorf("the cluster's own figure counts: %+v", s.PodBudgets)
			}
			if g := s.Demand[0]; g.Replicas != (workload.Range{Min: 2, Max: 3}) || g.Count != 4 || g.Batch || g.Alternatives != nil {
				t.Errorf("%+v", g)
			}
			if !s.Demand[1].Batch || !s.Demand[2].DoNotDisrupt || len(s.Pools) != 1 || len(s.Daemons) != 1 {
				t.Errorf("%+v", s)
			}
			if !covered(d, "Service/shop/s", "LoadBalancer") || covered(d, "futureField") {
				t.Errorf("%+v", d.NotCovered)
			}
		})
	}
}

func checkNodes(t *testing.T, d control.Demand) {
	t.Helper()
	s := &d.Snapshot
	if len(s.Nodes) != 2 {
		t.Fatalf("%d nodes", len(s.Nodes))
	}
	name := func(i int) string { return s.Demand[i].Owner.Name }
	for i, want := range []map[string]int{{"web": 2}, {"web": 1, "night": 1, "bare": 1}} {
		got := map[string]int{}
		for _, b := range s.Nodes[i].Pods {
			got[name(b.Group)] += b.Count
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s runs %v", s.Nodes[i].Name, got)
		}
	}
	if r := s.Nodes[0].Reserved; r.CPU != 200 || r.Memory != 2*unit.MiB || r.Pods != 2 {
		t.Errorf("n1 has reserved %+v", r)
	}
	if n := s.Nodes[1]; n.Reserved.Pods != 0 || n.Allocatable.CPU != 1930 || n.Changed.Hour() != 11 || n.Offering.Capacity != catalog.OnDemand {
		t.Errorf("%+v", n)
	}
	g := s.NodeGroups[0]
	if g.Name != "workers" || g.Desired != 2 || !slices.Equal(g.Shapes, []string{"m5.large"}) || g.Labels["team"] != "x" || g.Labels["kubernetes.io/hostname"] != "" {
		t.Errorf("node group %+v", g)
	}
}

func TestLiveForbidden(t *testing.T) {
	s := &apiServer{forbidden: map[string]bool{
		"/api/v1/nodes": true, "/apis/apps/v1/replicasets": true, "/api/v1/pods": true, "/apis/apps/v1/namespaces/shop/replicasets": true,
	}}
	config := serve(t, s, shop())
	d, err := read(t, control.Sources{Live: true, Kubeconfig: config, Namespace: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	if got := counts(d); got["Deployment/shop/web"] != 4 {
		t.Errorf("the Deployment is known by its ReplicaSet's name: %v", got)
	}
	want := []string{"nodes", "replicasets.apps outside of namespace shop", "pods outside of namespace shop"}
	if !slices.Equal(d.Forbidden, want) || d.Name != "cluster here" {
		t.Errorf("%q: %q", d.Name, d.Forbidden)
	}
	_, err = read(t, control.Sources{Live: true, Kubeconfig: config})
	if err == nil || !strings.Contains(err.Error(), "list of pods: forbidden") || control.NextStep(err) == "" {
		t.Errorf("without pods there is nothing to plan: %v", err)
	}
}

func TestLiveNarrowed(t *testing.T) {
	config := serve(t, &apiServer{}, shop())
	d, err := read(t, control.Sources{Live: true, Kubeconfig: config, Selector: "index in (ip1, ip3)"})
	if err != nil {
		t.Fatal(err)
	}
	if got := counts(d); !maps.Equal(got, map[string]int{"Deployment/shop/web": 2}) {
		t.Errorf("%v", got)
	}
	if r := d.Snapshot.Nodes[0].Reserved; r.Pods != 3 {
		t.Errorf("the others still take their place: %+v", r)
	}
}

func TestLiveUnreachable(t *testing.T) {
	dir := write(t, map[string]string{"config": "apiVersion: v1\nkind: Config\n"})
	for _, from := range []control.Sources{
		{Live: true, Kubeconfig: dir + "/missing"},
		{Live: true, Kubeconfig: dir + "/config"},
		{Live: true, Kubeconfig: dir + "/config", Context: "nope"},
	} {
		if _, err := read(t, from); err == nil || control.NextStep(err) == "" {
			t.Errorf("%+v: %v", from, err)
		}
	}
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	if _, err := read(t, control.Sources{Live: true, Kubeconfig: kubeconfig(t, server.URL)}); err == nil || control.NextStep(err) == "" {
		t.Errorf("a server that is gone: %v", err)
	}
}
