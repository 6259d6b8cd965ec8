package kube

import (
	"maps"
	"strings"
	"testing"

	"github.com/tatami-platform/tatami/internal/core/workload"
)

// tpl is the pod template of a controller, as flow YAML.
const tpl = `template: {metadata: {labels: {app: web}}, spec: {containers: [{name: a, resources: {requests: {cpu: 100m, memory: 1Mi}}}]}}`

func object(apiVersion, kind, name, spec string) string {
	return "{apiVersion: " + apiVersion + ", kind: " + kind + ", metadata: {name: " + name + ", namespace: shop}, spec: {" + spec + "}}"
}

func join(docs ...string) string { return strings.Join(docs, "\n---\n") }

func TestCounts(t *testing.T) {
	selector := "selector: {matchLabels: {app: web}}, "
	deployment := func(replicas string) string { return object("apps/v1", "Deployment", "web", replicas+selector+tpl) }
	owner := func(kind, name string) string {
		return "ownerReferences: [{apiVersion: apps/v1, kind: " + kind + ", name: " + name + ", uid: u, controller: true}]"
	}
	for _, tc := range []struct {
		name string
		docs string
		want map[string]int
		note []string
	}{
		{"deployment", deployment("replicas: 3, "), map[string]int{"Deployment/shop/web": 3}, nil},
		{"one unless given", deployment(""), map[string]int{"Deployment/shop/web": 1}, nil},
		{"given twice", join(deployment("replicas: 3, "), deployment("replicas: 5, ")), map[string]int{"Deployment/shop/web": 5}, []string{"Deployment/shop/web", "more than once"}},
		{"stateful set", object("apps/v1", "StatefulSet", "db", "replicas: 2, "+selector+tpl+", volumeClaimTemplates: [{metadata: {name: d}, spec: {resources: {requests: {storage: 10Gi}}}}]"), map[string]int{"StatefulSet/shop/db": 2}, []string{"2 objects PersistentVolumeClaim of 20Gi"}},
		{"replica set", object("apps/v1", "ReplicaSet", "web", "replicas: 2, "+selector+tpl), map[string]int{"ReplicaSet/shop/web": 2}, nil},
		{"replication controller", object("v1", "ReplicationController", "web", "replicas: 2, "+tpl), map[string]int{"ReplicationController/shop/web": 2}, nil},
		{"replica set of a deployment", join(deployment("replicas: 3, "), "{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: web-1, namespace: shop, "+owner("Deployment", "web")+"}, spec: {replicas: 3, "+selector+tpl+"}}"), map[string]int{"Deployment/shop/web": 3}, nil},
		{"replica set of a deployment that is not given", "{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: web-1, namespace: shop, " + owner("Deployment", "web") + "}, spec: {replicas: 3, " + selector + tpl + "}}", map[string]int{"ReplicaSet/shop/web-1": 3}, nil},
		{"pod of a deployment, without its replica set", join(deployment("replicas: 3, "), "{apiVersion: v1, kind: Pod, metadata: {name: web-1-x, namespace: shop, labels: {pod-template-hash: '1'}, "+owner("ReplicaSet", "web-1")+"}, spec: {containers: []}}"), map[string]int{"Deployment/shop/web": 3}, nil},
		{"finished pod", join(deployment(""), "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: []}, status: {phase: Succeeded}}"), map[string]int{"Deployment/shop/web": 1}, nil},
		{"job", object("batch/v1", "Job", "j", "parallelism: 5, completions: 3, "+tpl), map[string]int{"Job/shop/j": 3}, nil},
		{"work queue", object("batch/v1", "Job", "j", "parallelism: 5, "+tpl), map[string]int{"Job/shop/j": 5}, nil},
		{"suspended job", join(deployment(""), object("batch/v1", "Job", "j", "suspend: true, "+tpl)), map[string]int{"Deployment/shop/web": 1, "Job/shop/j": 0}, []string{"Job/shop/j", "suspended"}},
		{"cron job", object("batch/v1", "CronJob", "c", "schedule: '* * * * *', jobTemplate: {spec: {parallelism: 2, "+tpl+"}}"), map[string]int{"CronJob/shop/c": 2}, []string{"CronJob/shop/c spec.schedule", "as if it never ended"}},
		{"suspended cron job", join(deployment(""), object("batch/v1", "CronJob", "c", "suspend: true, schedule: '* * * * *', jobTemplate: {spec: {"+tpl+"}}")), map[string]int{"Deployment/shop/web": 1, "CronJob/shop/c": 0}, []string{"suspended"}},
		{"a list", "{apiVersion: v1, kind: List, items: [" + deployment("replicas: 2, ") + "]}", map[string]int{"Deployment/shop/web": 2}, nil},
		{"a typed list, whose items have no kind", "{apiVersion: apps/v1, kind: DeploymentList, items: [{metadata: {name: web, namespace: shop}, spec: {replicas: 2, " + selector + tpl + "}}]}", map[string]int{"Deployment/shop/web": 2}, nil},
		{"bare pods that are alike", join("{apiVersion: v1, kind: Pod, metadata: {name: a, labels: {n: '1'}}, spec: {containers: []}}", "{apiVersion: v1, kind: Pod, metadata: {name: b, labels: {n: '2'}}, spec: {containers: []}}"), map[string]int{"Pod/default/a": 2}, []string{"neither processor nor memory"}},
		{"a negative request", join(deployment(""), "{apiVersion: v1, kind: Pod, metadata: {name: bad}, spec: {containers: [{name: a, resources: {requests: {cpu: -1, memory: 1}}}]}}"), map[string]int{"Deployment/shop/web": 1}, []string{"Pod/default/bad", "less than nothing of cpu", "left out"}},
		{"an enormous request", join(deployment(""), "{apiVersion: v1, kind: Pod, metadata: {name: bad}, spec: {containers: [{name: a, resources: {requests: {cpu: 9e30, memory: 9e30}}}]}}"), map[string]int{"Deployment/shop/web": 1}, []string{"more cpu than any machine"}},
		{"an unknown kind", join(deployment(""), object("argoproj.io/v1alpha1", "Rollout", "r", "")), map[string]int{"Deployment/shop/web": 1}, []string{"Rollout.argoproj.io/shop/r", "not known"}},
		{"an unknown field", deployment("replicsa: 3, "), map[string]int{"Deployment/shop/web": 1}, []string{"Deployment/shop/web spec.replicsa", "no such field"}},
		{"load balancers", join(deployment(""), object("v1", "Service", "a", "type: LoadBalancer"), object("v1", "Service", "b", "type: LoadBalancer"), object("v1", "Service", "c", "")), map[string]int{"Deployment/shop/web": 1}, []string{"2 objects Service of type LoadBalancer", "shop/a, shop/b"}},
		{"harmless kinds say nothing", join(deployment(""), "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}", "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: r}}"), map[string]int{"Deployment/shop/web": 1}, nil},
		{"no object", join(deployment(""), "just: text"), map[string]int{"Deployment/shop/web": 1}, []string{"document 2", "not a Kubernetes object"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := parse(t, tc.docs)
			if got := counts(d); !maps.Equal(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
			if (len(d.NotCovered) > 0) != (tc.note != nil) || tc.note != nil && !covered(d, tc.note...) {
				t.Errorf("not covered: %+v", d.NotCovered)
			}
		})
	}
}

func TestDaemonSets(t *testing.T) {
	d := parse(t, join(object("apps/v1", "DaemonSet", "agent", tpl), object("apps/v1", "Deployment", "web", tpl)))
	if len(d.Snapshot.Daemons) != 1 || len(d.Snapshot.Demand) != 1 || d.Workloads != 2 {
		t.Fatalf("%d daemons, %d groups, %d workloads", len(d.Snapshot.Daemons), len(d.Snapshot.Demand), d.Workloads)
	}
	pressure := workload.Taint{Key: "node.kubernetes.io/disk-pressure", Effect: workload.NoSchedule}
	if !workload.Tolerates(d.Snapshot.Daemons[0].Tolerations, pressure) {
		t.Error("the DaemonSet controller's tolerations are missing")
	}
}

func TestScalers(t *testing.T) {
	web := object("apps/v1", "Deployment", "web", "replicas: 4, "+tpl)
	hpa := func(version, bounds string) string {
		return object(version, "HorizontalPodAutoscaler", "h", "scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, "+bounds)
	}
	keda := func(bounds string) string {
		return object("keda.sh/v1alpha1", "ScaledObject", "s", "scaleTargetRef: {name: web}, triggers: [{type: cron, metadata: {timezone: Etc/UTC}}], "+bounds)
	}
	for _, tc := range []struct {
		name, scaler string
		count        int
		bounds       workload.Range
		note         string
	}{
		{"within bounds", hpa("autoscaling/v2", "minReplicas: 2, maxReplicas: 9"), 4, workload.Range{Min: 2, Max: 9}, ""},
		{"raised to the least", hpa("autoscaling/v2", "minReplicas: 6, maxReplicas: 9"), 6, workload.Range{Min: 6, Max: 9}, ""},
		{"lowered to the most", hpa("autoscaling/v2", "maxReplicas: 3"), 3, workload.Range{Min: 1, Max: 3}, ""},
		{"an older version", hpa("autoscaling/v1", "maxReplicas: 7, targetCPUUtilizationPercentage: 50"), 4, workload.Range{Min: 1, Max: 7}, ""},
		{"KEDA's defaults", keda(""), 4, workload.Range{Min: 0, Max: 100}, ""},
		{"KEDA's bounds", keda("minReplicaCount: 5, maxReplicaCount: 8"), 5, workload.Range{Min: 5, Max: 8}, ""},
		{"idle below the least", keda("idleReplicaCount: 0, minReplicaCount: 2, maxReplicaCount: 8"), 4, workload.Range{Min: 0, Max: 8}, ""},
		{"no range", hpa("autoscaling/v2", "minReplicas: 6, maxReplicas: 3"), 4, workload.Range{}, "make no range"},
		{"nobody to scale", object("keda.sh/v1alpha1", "ScaledObject", "s", "scaleTargetRef: {name: gone}"), 4, workload.Range{}, "there is no Deployment/shop/gone"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := parse(t, join(web, tc.scaler))
			if g := d.Snapshot.Demand[0]; g.Count != tc.count || g.Replicas != tc.bounds {
				t.Errorf("count %d, bounds %v", g.Count, g.Replicas)
			}
			if (len(d.NotCovered) > 0) != (tc.note != "") || tc.note != "" && !covered(d, tc.note) {
				t.Errorf("not covered: %+v", d.NotCovered)
			}
		})
	}
}

func TestPodBudgets(t *testing.T) {
	web := object("apps/v1", "Deployment", "web", "replicas: 7, "+tpl)
	bare := "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: shop, labels: {app: web}}, spec: {containers: [{name: a, resources: {requests: {cpu: 1, memory: 1}}}]}}"
	job := object("batch/v1", "Job", "j", tpl)
	const match = "selector: {matchLabels: {app: web}}, "
	for _, tc := range []struct {
		name, spec string
		docs       []string
		allowed    int
	}{
		{"most unavailable", match + "maxUnavailable: 2", []string{web}, 2},
		{"a share is rounded up", match + "maxUnavailable: 30%", []string{web}, 3},
		{"all", match + "maxUnavailable: 100%", []string{web}, 7},
		{"none", match + "maxUnavailable: 0", []string{web}, 0},
		{"least available", match + "minAvailable: 5", []string{web}, 2},
		{"a share of what must stay is rounded up", match + "minAvailable: 50%", []string{web}, 3},
		{"more must stay than there are", match + "minAvailable: 9", []string{web}, 0},
		{"neither", match, []string{web}, 7},
		{"an empty selector is everything in the namespace", "selector: {}, maxUnavailable: 2", []string{web}, 2},
		{"a missing one is nothing", "maxUnavailable: 2", []string{web}, 0},
		{"other pods", "selector: {matchLabels: {app: db}}, maxUnavailable: 2", []string{web}, 0},
		{"a bare pod has no number that is wanted", match + "maxUnavailable: 1", []string{bare}, 0},
		{"but it can be counted", match + "minAvailable: 0", []string{bare}, 1},
		{"of a job it is not known", match + "maxUnavailable: 1", []string{job}, 0},
		{"no number", match + "maxUnavailable: many", []string{web}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := parse(t, join(append(tc.docs, object("policy/v1", "PodDisruptionBudget", "b", tc.spec))...))
			if got := d.Snapshot.PodBudgets; len(got) != 1 || got[0].Allowed != tc.allowed || got[0].Ref.Namespace != "shop" {
				t.Errorf("%+v", got)
			}
		})
	}
}
