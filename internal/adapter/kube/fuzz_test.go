package kube

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tatami-platform/tatami/internal/control"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// Whatever is read must not panic, and groups that come out must be such that
// one can plan with them.
func FuzzManifest(f *testing.F) {
	for _, seed := range []string{
		aPod, "", "---\n---\n", "a: [", "{apiVersion: v1, kind: List, items: [{}, 3, null]}",
		object("apps/v1", "Deployment", "web", "replicas: -3, "+tpl),
		object("apps/v1", "StatefulSet", "db", "replicas: 2000000000, "+tpl+", volumeClaimTemplates: [{spec: {resources: {requests: {storage: 9e99}}}}]"),
		object("batch/v1", "CronJob", "c", "schedule: x, jobTemplate: {spec: {"+tpl+"}}"),
		object("policy/v1", "PodDisruptionBudget", "b", "minAvailable: -5%, selector: {}"),
		object("autoscaling/v2", "HorizontalPodAutoscaler", "h", "minReplicas: -1, maxReplicas: 2147483647, scaleTargetRef: {kind: Deployment, name: web}"),
		"{apiVersion: karpenter.sh/v1, kind: NodePool, metadata: {name: a}, spec: {weight: -1, limits: {cpu: -1e40}, disruption: {budgets: [{nodes: 999999999999%, schedule: '* * * * *', duration: 99999h}]}, template: {spec: {requirements: [{key: '', operator: Gt, values: []}]}}}}",
		"{apiVersion: eksctl.io/v1alpha5, kind: ClusterConfig, nodeGroups: [{taints: 3}, {desiredCapacity: -1}]}",
		"{apiVersion: v1, kind: Node, metadata: {name: a}, status: {allocatable: {cpu: 1e400, pods: -3}}}",
	} {
		f.Add(join(object("apps/v1", "Deployment", "web", tpl), seed))
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := read(t, control.Sources{Paths: []string{"-"}, Stdin: strings.NewReader(text)})
		if err != nil {
			if err.Error() == "" || control.NextStep(err) == "" {
				t.Errorf("an error without advice: %v", err)
			}
			return
		}
		for _, fault := range workload.Validate(d.Snapshot.Demand, nil) {
			if fault.Fatal {
				t.Errorf("%s: %s", d.Snapshot.Demand[fault.Group].Owner, fault.Text)
			}
		}
		for _, b := range d.Snapshot.PodBudgets {
			if b.Allowed < 0 {
				t.Errorf("budget %+v", b)
			}
		}
	})
}

// pods makes n pods of 150 workloads as a cluster shows them.
func pods(n int) []corev1.Pod {
	out := make([]corev1.Pod, n)
	yes := true
	for i := range out {
		app := fmt.Sprint("app-", i%150)
		out[i] = corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Name: fmt.Sprint(app, "-", i), Namespace: "shop",
				Labels:          map[string]string{"app": app, "pod-template-hash": "abc", "team": "x"},
				OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: app + "-abc", Controller: &yes}},
			},
			Spec: corev1.PodSpec{
				NodeName:     fmt.Sprint("node-", i%400),
				NodeSelector: map[string]string{"kubernetes.io/arch": "arm64"},
				Containers: []corev1.Container{
					{Name: "a", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: *resource.NewMilliQuantity(int64(i%150)*10, resource.DecimalSI), corev1.ResourceMemory: resource.MustParse("512Mi")}}},
					{Name: "side", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m"), corev1.ResourceMemory: resource.MustParse("64Mi")}}},
				},
				Tolerations: []corev1.Toleration{
					{Key: corev1.TaintNodeNotReady, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute},
					{Key: corev1.TaintNodeUnreachable, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute},
				},
				TopologySpreadConstraints: []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: corev1.LabelTopologyZone, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}}},
			},
		}
	}
	return out
}

func BenchmarkGroup10k(b *testing.B) {
	all := pods(10_000)
	keep, err := filter(control.Sources{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		g := newGathering(newInventory(""), keep)
		for i := range all {
			p := all[i]
			g.add(&p)
		}
		if d, err := g.demand(noon()); err != nil || len(d.Snapshot.Demand) != 150 {
			b.Fatalf("%d groups", len(d.Snapshot.Demand))
		}
	}
}

// A fingerprint must tell apart all that the group tells apart.
func TestFingerprint(t *testing.T) {
	yes, always, high := true, corev1.ContainerRestartPolicyAlways, int32(9)
	cpu := func(n string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(n)}
	}
	term := corev1.PodAffinityTerm{TopologyKey: "h", LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}}
	for name, change := range map[string]func(*corev1.Pod){
		"labels":        func(p *corev1.Pod) { p.Labels = map[string]string{"a": "b"} },
		"namespace":     func(p *corev1.Pod) { p.Namespace = "other" },
		"pin":           func(p *corev1.Pod) { p.Annotations = map[string]string{annotationDoNotDisrupt: "true"} },
		"safe to evict": func(p *corev1.Pod) { p.Annotations = map[string]string{annotationSafeToEvict: "false"} },
		"priority":      func(p *corev1.Pod) { p.Spec.Priority = &high },
		"node selector": func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"kubernetes.io/arch": "amd64"} },
		"toleration":    func(p *corev1.Pod) { p.Spec.Tolerations = p.Spec.Tolerations[:1] },
		"effect":        func(p *corev1.Pod) { p.Spec.Tolerations = []corev1.Toleration{{Key: "x", Effect: "y"}} },
		"requests":      func(p *corev1.Pod) { p.Spec.Containers[0].Resources.Requests = cpu("7") },
		"a millicore": func(p *corev1.Pod) {
			p.Spec.Containers[1].Resources.Requests[corev1.ResourceCPU] = resource.MustParse("51m")
		},
		"gpu": func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources.Requests["nvidia.com/gpu"] = resource.MustParse("1")
		},
		"init container": func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: cpu("9")}}}
		},
		"sidecar": func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{RestartPolicy: &always, Resources: corev1.ResourceRequirements{Requests: cpu("10m")}}}
		},
		"overhead":   func(p *corev1.Pod) { p.Spec.Overhead = cpu("1") },
		"of the pod": func(p *corev1.Pod) { p.Spec.Resources = &corev1.ResourceRequirements{Requests: cpu("30")} },
		"host port":  func(p *corev1.Pod) { p.Spec.Containers[0].Ports = []corev1.ContainerPort{{HostPort: 80}} },
		"host address": func(p *corev1.Pod) {
			p.Spec.Containers[0].Ports = []corev1.ContainerPort{{HostPort: 80, HostIP: "10.0.0.1"}}
		},
		"spread": func(p *corev1.Pod) { p.Spec.TopologySpreadConstraints[0].MaxSkew = 2 },
		"affinity": func(p *corev1.Pod) {
			p.Spec.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{term}}}
		},
		"anti-affinity": func(p *corev1.Pod) {
			p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{term}}}
		},
		"volume": func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}}}
		},
		"resize": func(p *corev1.Pod) {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "a", AllocatedResources: cpu("40")}}
		},
		"owner": func(p *corev1.Pod) {
			p.OwnerReferences = []metav1.OwnerReference{{Kind: "StatefulSet", Name: "db", Controller: &yes}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			two := pods(2)
			a, b := two[0].DeepCopy(), two[0].DeepCopy()
			b.Name, b.UID = "another", "another"
			g := newGathering(newInventory(""), func(string, map[string]string) bool { return true })
			if string(fingerprint(nil, g.owner(a), a)) != string(fingerprint(nil, g.owner(b), b)) {
				t.Fatal("pods that are alike have different fingerprints")
			}
			change(b)
			if string(fingerprint(nil, g.owner(a), a)) == string(fingerprint(nil, g.owner(b), b)) {
				t.Error("the fingerprint is the same")
			}
			g.inv.claims["shop/data"] = &corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{VolumeName: "v"}}
			g.inv.volumes["v"] = &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{corev1.LabelTopologyZone: "z"}}}
			g.add(a)
			g.add(b)
			if len(g.groups) != 2 {
				t.Errorf("%d groups", len(g.groups))
			}
		})
	}
}
