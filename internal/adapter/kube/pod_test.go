package kube

import (
	"reflect"
	"testing"

	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

func TestRequests(t *testing.T) {
	for _, tc := range []struct {
		name, spec string
		more       []string
		want       unit.Resources
	}{
		{"containers add up", `
  containers:
  - {name: a, resources: {requests: {cpu: 100m, memory: 1Gi, nvidia.com/gpu: 1}}}
  - {name: b, resources: {requests: {cpu: "0.5", memory: 1G, ephemeral-storage: 1Gi}}}
`, nil, unit.Resources{CPU: 600, Memory: unit.GiB + unit.GB, Disk: unit.GiB, Pods: 1, Extended: map[string]int64{"nvidia.com/gpu": 1}}},
		{"parts are rounded up", `
  containers: [{name: a, resources: {requests: {cpu: 100u, memory: 1500m}}}]
`, nil, unit.Resources{CPU: 1, Memory: 2, Pods: 1}},
		{"limits stand in for requests", `
  containers: [{name: a, resources: {limits: {cpu: 2, memory: 1Gi}, requests: {cpu: 1}}}]
`, nil, unit.Resources{CPU: 1000, Memory: unit.GiB, Pods: 1}},
		{"the largest init container", `
  initContainers:
  - {name: i, resources: {requests: {cpu: 3, memory: 1Mi}}}
  - {name: j, resources: {requests: {cpu: 1, memory: 2Mi}}}
  containers: [{name: a, resources: {requests: {cpu: 1, memory: 4Mi}}}]
`, nil, unit.Resources{CPU: 3000, Memory: 4 * unit.MiB, Pods: 1}},
		{"sidecars run with those after them", `
  initContainers:
  - {name: before, resources: {requests: {cpu: 4}}}
  - {name: side, restartPolicy: Always, resources: {requests: {cpu: 2, memory: 1Mi}}}
  - {name: after, resources: {requests: {cpu: 3}}}
  containers: [{name: a, resources: {requests: {cpu: 1, memory: 1Mi}}}]
`, nil, unit.Resources{CPU: 5000, Memory: 2 * unit.MiB, Pods: 1}},
		{"of the pod as a whole", `
  resources: {requests: {cpu: 2}}
  containers: [{name: a, resources: {requests: {cpu: 1, memory: 1Mi}}}]
`, nil, unit.Resources{CPU: 2000, Memory: unit.MiB, Pods: 1}},
		{"of the pod, from its limits", `
  resources: {limits: {cpu: 2, memory: 1Gi}}
  containers: [{name: a, resources: {requests: {memory: 1Mi}}}]
`, nil, unit.Resources{CPU: 2000, Memory: unit.MiB, Pods: 1}},
		{"overhead of the runtime class", `
  runtimeClassName: sandbox
  containers: [{name: a, resources: {requests: {cpu: 1, memory: 1Mi}}}]
`, []string{"{apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: {name: sandbox}, handler: x, overhead: {podFixed: {cpu: 250m}}}"}, unit.Resources{CPU: 1250, Memory: unit.MiB, Pods: 1}},
		{"overhead that is given", `
  overhead: {memory: 1Mi}
  containers: [{name: a, resources: {requests: {cpu: 1, memory: 1Mi}}}]
`, nil, unit.Resources{CPU: 1000, Memory: 2 * unit.MiB, Pods: 1}},
		{"limit range of the namespace", `
  containers: [{name: a, resources: {requests: {cpu: 1}}}, {name: b}]
`, []string{"{apiVersion: v1, kind: LimitRange, metadata: {name: l, namespace: shop}, spec: {limits: [{type: Container, default: {memory: 1Mi}, defaultRequest: {cpu: 100m}, max: {memory: 8Mi}}]}}"}, unit.Resources{CPU: 1100, Memory: 2 * unit.MiB, Pods: 1}},
		{"limit range of another namespace", `
  containers: [{name: a, resources: {requests: {cpu: 1, memory: 1}}}, {name: b}]
`, []string{"{apiVersion: v1, kind: LimitRange, metadata: {name: l, namespace: other}, spec: {limits: [{type: Container, default: {memory: 1Mi}}]}}"}, unit.Resources{CPU: 1000, Memory: 1, Pods: 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := podOf(t, tc.spec, tc.more...).Requests; !got.Equal(tc.want) {
				t.Errorf("got  %+v\nwant %+v", got, tc.want)
			}
		})
	}
}

func of(kv ...string) workload.Requirements {
	rs := workload.Requirements{}
	for i := 0; i < len(kv); i += 2 {
		rs[kv[i]] = workload.OneOf(kv[i+1])
	}
	return rs
}

const box = "  containers: [{name: a, resources: {requests: {cpu: 1, memory: 1Mi}}}]\n"

func TestAlternatives(t *testing.T) {
	const zone = workload.LabelZone
	claim := "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data, namespace: shop}, spec: {volumeName: v1, resources: {requests: {storage: 1Gi}}}}"
	unbound := "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data, namespace: shop}, spec: {resources: {requests: {storage: 1Gi}}}}"
	mount := "  volumes: [{name: d, persistentVolumeClaim: {claimName: data}}]\n"
	for _, tc := range []struct {
		name, spec string
		more       []string
		want       []workload.Requirements
	}{
		{"any node", box, nil, nil},
		{"node selector with an old name", box + "  nodeSelector: {disk: ssd, beta.kubernetes.io/arch: arm64}\n", nil, []workload.Requirements{of("disk", "ssd", "kubernetes.io/arch", "arm64")}},
		{"one of two terms, each with the selector", box + `
  nodeSelector: {disk: ssd}
  affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [
    {matchExpressions: [{key: a, operator: In, values: [x]}]},
    {matchExpressions: [{key: b, operator: In, values: ["y"]}]}]}}}
`, nil, []workload.Requirements{of("disk", "ssd", "a", "x"), of("disk", "ssd", "b", "y")}},
		{"an empty term matches nothing", box + `
  affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [
    {}, {matchExpressions: [{key: b, operator: In, values: ["y"]}]}]}}}
`, nil, []workload.Requirements{of("b", "y")}},
		{"no term at all matches nothing", box + "  affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: []}}}\n", nil, []workload.Requirements{impossible()}},
		{"by the name of the node", box + `
  affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [
    {matchFields: [{key: metadata.name, operator: In, values: [n1]}]}]}}}
`, nil, []workload.Requirements{of(workload.LabelHostname, "n1")}},
		{"bound to a node", box + "  nodeName: n1\n", nil, []workload.Requirements{of(workload.LabelHostname, "n1")}},
		{"where its volume lies", box + mount, []string{claim, `
apiVersion: v1
kind: PersistentVolume
metadata: {name: v1}
spec: {nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: topology.ebs.csi.aws.com/zone, operator: In, values: [us-east-1a]}]}]}}}`}, []workload.Requirements{of(zone, "us-east-1a")}},
		{"by the label of an older volume", box + mount, []string{claim, "{apiVersion: v1, kind: PersistentVolume, metadata: {name: v1, labels: {failure-domain.beta.kubernetes.io/zone: us-east-1a__us-east-1b}}}"}, []workload.Requirements{{zone: workload.OneOf("us-east-1a", "us-east-1b")}}},
		{"where volumes of the default class may be made", box + mount, []string{unbound, `
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: gp3, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: ebs.csi.aws.com
allowedTopologies: [{matchLabelExpressions: [{key: topology.kubernetes.io/zone, values: [us-east-1c]}]}]`}, []workload.Requirements{of(zone, "us-east-1c")}},
		{"a claim that is not given", box + mount, nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := podOf(t, tc.spec, tc.more...).Alternatives
			if len(got) != len(tc.want) || len(got) > 0 && !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got  %v\nwant %v", got, tc.want)
			}
		})
	}
}

func TestPodConstraints(t *testing.T) {
	g := podOf(t, box+`
  hostNetwork: true
  priorityClassName: gold
  tolerations:
  - {key: gpu, operator: Exists, effect: NoSchedule}
  - {key: team, value: x, tolerationSeconds: 5}
  - {key: cores, operator: Gt, value: "4"}
  topologySpreadConstraints:
  - {maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: DoNotSchedule, minDomains: 3, nodeTaintsPolicy: Honor, nodeAffinityPolicy: Ignore, labelSelector: {matchLabels: {app: web}}, matchLabelKeys: [hash, missing]}
  - {maxSkew: 2, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway}
  affinity:
    nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 7, preference: {matchExpressions: [{key: x, operator: Exists}]}}, {weight: 3, preference: {}}]}
    podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: db}}, namespaces: [other], namespaceSelector: {matchLabels: {team: x}}}]}
    podAntiAffinity:
      requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: web}}, mismatchLabelKeys: [hash], namespaceSelector: {}}]
      preferredDuringSchedulingIgnoredDuringExecution: [{weight: 9, podAffinityTerm: {topologyKey: z, labelSelector: {}, namespaceSelector: {matchLabels: {team: none}}}}]
`, "{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: gold}, value: 77}",
		"{apiVersion: v1, kind: Namespace, metadata: {name: dev, labels: {team: x}}}")
	if g.Priority != 77 {
		t.Errorf("priority %d", g.Priority)
	}
	web := workload.Selector{Requirements: of("app", "web")}
	want := workload.Group{
		Preferred:   []workload.Preference{{Weight: 7, Requirements: workload.Requirements{"x": exists(t)}}},
		Tolerations: []workload.Toleration{{Key: "gpu", Exists: true, Effect: workload.NoSchedule}, {Key: "team", Value: "x"}},
		Spread: []workload.Spread{
			{TopologyKey: workload.LabelZone, MaxSkew: 1, MinDomains: 3, Required: true, Selector: workload.Selector{Requirements: of("app", "web", "hash", "h1")}, IgnoreAffinity: true, HonorTaints: true},
			{TopologyKey: workload.LabelHostname, MaxSkew: 2, MinDomains: 1},
		},
		Affinity: []workload.PodTerm{{TopologyKey: workload.LabelHostname, Selector: workload.Selector{Requirements: of("app", "db")}, Namespaces: []string{"other", "dev"}}},
		AntiAffinity: []workload.PodTerm{
			{TopologyKey: workload.LabelHostname, Selector: workload.Selector{Requirements: workload.Requirements{"app": web.Requirements["app"], "hash": workload.NoneOf("h1")}}, AllNamespaces: true},
			{TopologyKey: "z", Weight: 9, Namespaces: []string{}},
		},
	}
	got := workload.Group{Preferred: g.Preferred, Tolerations: g.Tolerations, Spread: g.Spread, Affinity: g.Affinity, AntiAffinity: g.AntiAffinity}
	for i, name := range []string{"Preferred", "Tolerations", "Spread", "Affinity", "AntiAffinity"} {
		a, b := reflect.ValueOf(got).FieldByName(name).Interface(), reflect.ValueOf(want).FieldByName(name).Interface()
		if !reflect.DeepEqual(a, b) {
			t.Errorf("%d %s:\ngot  %+v\nwant %+v", i, name, a, b)
		}
	}
}

func exists(t *testing.T) workload.Requirement {
	t.Helper()
	r, err := workload.NewRequirement(workload.Exists)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestHostPorts(t *testing.T) {
	ports := "  containers: [{name: a, resources: {requests: {cpu: 1, memory: 1}}, ports: [{containerPort: 80}, {containerPort: 53, hostPort: 5353, protocol: UDP, hostIP: 0.0.0.0}]}]\n"
	for _, tc := range []struct {
		name, spec string
		want       []workload.HostPort
	}{
		{"only those of the host", ports, []workload.HostPort{{Protocol: "UDP", Port: 5353}}},
		{"every port on the host's network", ports + "  hostNetwork: true\n", []workload.HostPort{{Protocol: "TCP", Port: 80}, {Protocol: "UDP", Port: 5353}}},
		{"sidecars, but not init containers", box + "  initContainers: [{name: s, restartPolicy: Always, ports: [{containerPort: 1, hostPort: 9, hostIP: 10.0.0.1}]}, {name: i, ports: [{containerPort: 2, hostPort: 8}]}]\n", []workload.HostPort{{IP: "10.0.0.1", Protocol: "TCP", Port: 9}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := podOf(t, tc.spec).HostPorts; !reflect.DeepEqual(got, tc.want) {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestPins(t *testing.T) {
	pod := func(annotations string) string {
		return "{apiVersion: v1, kind: Pod, metadata: {name: p, annotations: {" + annotations + "}}, spec: {containers: [{name: a, resources: {requests: {cpu: 1, memory: 1}}}]}}"
	}
	for annotations, want := range map[string]bool{
		``:                                     false,
		`karpenter.sh/do-not-disrupt: "true"`:  true,
		`karpenter.sh/do-not-disrupt: "false"`: false,
		`cluster-autoscaler.kubernetes.io/safe-to-evict: "false"`: true,
		`cluster-autoscaler.kubernetes.io/safe-to-evict: "true"`:  false,
	} {
		if got := parse(t, pod(annotations)).Snapshot.Demand[0].DoNotDisrupt; got != want {
			t.Errorf("%s: %v", annotations, got)
		}
	}
}
