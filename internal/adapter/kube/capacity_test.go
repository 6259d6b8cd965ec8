package kube

import (
	"reflect"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/control"
	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

const aPod = "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: a, resources: {requests: {cpu: 1, memory: 1}}}]}}"

func TestNodePool(t *testing.T) {
	d := parse(t, aPod+`
---
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: spot}
spec:
  weight: 40
  limits: {cpu: "1000", memory: 4000Gi, nodes: 20}
  template:
    metadata: {labels: {team: x}}
    spec:
      nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: default}
      expireAfter: 720h
      taints: [{key: dedicated, value: x, effect: NoSchedule}]
      startupTaints: [{key: cilium, effect: NoExecute}]
      requirements:
      - {key: karpenter.k8s.aws/instance-family, operator: In, values: [m7g, c7g, r7g], minValues: 2}
      - {key: karpenter.k8s.aws/instance-cpu, operator: Gt, values: ["3"]}
      - {key: karpenter.k8s.aws/instance-cpu, operator: Lte, values: ["16"]}
      - {key: beta.kubernetes.io/arch, operator: In, values: [arm64]}
  disruption:
    consolidationPolicy: WhenEmpty
    consolidateAfter: 5m
    budgets:
    - {nodes: 20%, reasons: [Drifted]}
    - {nodes: "3", schedule: "0 9 * * mon-fri", duration: 8h}
    - {nodes: "0", schedule: "0 20 * * *", duration: 1h}
    - {nodes: "5", schedule: nonsense, duration: 1h}
---
apiVersion: karpenter.k8s.aws/v1
kind: EC2NodeClass
metadata: {name: default}
spec:
  kubelet: {maxPods: 42, podsPerCore: 4, systemReserved: {cpu: 100m, memory: 100Mi}, kubeReserved: {cpu: 1}}
  blockDeviceMappings: [{deviceName: /dev/xvda, ebs: {volumeSize: 100Gi}}]
`)
	if len(d.Snapshot.Pools) != 1 {
		t.Fatal("no pool")
	}
	p := d.Snapshot.Pools[0]
	families := workload.OneOf("m7g", "c7g", "r7g")
	families.MinValues = 2
	if got := p.Requirements["karpenter.k8s.aws/instance-family"]; !reflect.DeepEqual(got, families) {
		t.Errorf("families %v", got)
	}
	cores := p.Requirements["karpenter.k8s.aws/instance-cpu"]
	if cores.Has("3") || !cores.Has("4") || !cores.Has("16") || cores.Has("17") {
		t.Errorf("cores %v", cores)
	}
	if !p.Requirements["kubernetes.io/arch"].Has("arm64") {
		t.Errorf("requirements %v, not covered %v", p.Requirements, d.NotCovered)
	}
	if p.Name != "spot" || p.Weight != 40 || p.Labels["team"] != "x" || p.Taints[0].Key != "dedicated" || p.StartupTaints[0].Key != "cilium" {
		t.Errorf("%+v", p)
	}
	if p.Limits.CPU != 1_000_000 || p.Limits.Memory != 4000*unit.GiB || p.Limits.Extended["nodes"] != 20 {
		t.Errorf("limits %+v", p.Limits)
	}
	want := workload.Disruption{WhenEmptyOnly: true, After: 5 * time.Minute, Budgets: []workload.Budget{
		{Percent: 20, Reasons: []string{"Drifted"}, Active: true},
		{Nodes: 3, Percent: -1, Active: true},
		{Nodes: 0, Percent: -1},
		{Nodes: 0, Percent: -1, Active: true},
	}}
	if !reflect.DeepEqual(p.Disruption, want) {
		t.Errorf("got  %+v\nwant %+v", p.Disruption, want)
	}
	kubelet := catalog.Kubelet{MaxPods: 42, PodsPerCore: 4, Reserved: unit.Resources{CPU: 100, Memory: 100 * unit.MiB}, RootDisk: 100 * unit.GiB}
	if !reflect.DeepEqual(d.Snapshot.Kubelet, kubelet) || !covered(d, "EC2NodeClass/default", "kubeReserved") {
		t.Errorf("kubelet %+v, not covered %v", d.Snapshot.Kubelet, d.NotCovered)
	}
}

func TestConsolidateNever(t *testing.T) {
	d := parse(t, aPod+"\n---\n{apiVersion: karpenter.sh/v1, kind: NodePool, metadata: {name: a}, spec: {limits: {cpu: 0}, disruption: {consolidateAfter: Never}}}")
	if p := d.Snapshot.Pools[0]; p.Disruption.After >= 0 || p.Limits.CPU != 1 || p.Disruption.Budgets != nil {
		t.Errorf("%+v", p)
	}
}

func TestBudgetWindow(t *testing.T) {
	at := func(hour, minute int) time.Time { return time.Date(2026, 9, 2, hour, minute, 0, 0, time.UTC) }
	for _, tc := range []struct {
		name, schedule, duration string
		now                      time.Time
		active                   bool
	}{
		{"always", "", "", at(3, 0), true},
		{"at its start", "0 9 * * *", "8h", at(9, 0), true},
		{"in the middle", "0 9 * * *", "8h", at(12, 0), true},
		{"a minute before its end", "0 9 * * *", "8h", at(16, 59), true},
		{"at its end", "0 9 * * *", "8h", at(17, 0), false},
		{"before its start", "0 9 * * *", "8h", at(8, 59), false},
		{"over midnight", "0 22 * * *", "8h", at(3, 0), true},
		{"another day", "0 9 * * sat", "8h", at(12, 0), false},
		{"daily", "@daily", "10m", at(0, 5), true},
		{"in another zone of the caller", "0 9 * * *", "1h", at(9, 30).In(time.FixedZone("x", 5*3600)), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			active, err := inWindow(tc.schedule, tc.duration, tc.now)
			if err != nil || active != tc.active {
				t.Errorf("active %v, %v", active, err)
			}
		})
	}
}

func TestNodes(t *testing.T) {
	node := func(labels, more string) string {
		return "{apiVersion: v1, kind: Node, metadata: {name: n1, labels: {node.kubernetes.io/instance-type: m5.large, topology.kubernetes.io/zone: us-east-1a, topology.kubernetes.io/region: us-east-1" + labels + "}}" + more + "}"
	}
	for _, tc := range []struct {
		name, node string
		capacity   catalog.CapacityType
		pool       string
		ready      bool
		leaving    bool
	}{
		{"of a managed group", node(", eks.amazonaws.com/capacityType: SPOT, eks.amazonaws.com/nodegroup: g", ""), catalog.Spot, "", false, false},
		{"on demand", node(", eks.amazonaws.com/capacityType: ON_DEMAND", ", status: {conditions: [{type: Ready, status: 'True'}]}"), catalog.OnDemand, "", true, false},
		{"of Karpenter", node(", karpenter.sh/capacity-type: spot, karpenter.sh/nodepool: p, karpenter.sh/initialized: 'true'", ""), catalog.Spot, "p", true, false},
		{"Fargate", node(", eks.amazonaws.com/compute-type: fargate", ""), catalog.Fargate, "", false, false},
		{"unlabelled", node("", ""), catalog.OnDemand, "", false, false},
		{"being replaced", node("", ", spec: {taints: [{key: karpenter.sh/disrupted, effect: NoSchedule}]}"), catalog.OnDemand, "", false, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := parse(t, aPod+"\n---\n"+tc.node)
			n := d.Snapshot.Nodes[0]
			if n.Offering.Capacity != tc.capacity || n.Pool != tc.pool || n.Initialized != tc.ready || n.Leaving != tc.leaving {
				t.Errorf("%+v", n)
			}
			if n.Offering.Shape.Name != "m5.large" || n.Offering.Zone != "us-east-1a" || d.Snapshot.Region != "us-east-1" {
				t.Errorf("offering %+v", n.Offering)
			}
		})
	}
}

func TestEksctl(t *testing.T) {
	d := parse(t, aPod+`
---
apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: prod, region: sa-east-1}
managedNodeGroups:
- {name: plain}
- {name: spot, spot: true, instanceTypes: [c5.large, c5a.large], minSize: 1, maxSize: 9, desiredCapacity: 4, availabilityZones: [sa-east-1a], labels: {a: b}, taints: [{key: k, value: v, effect: NoExecute}]}
nodeGroups:
- {name: mixed, minSize: 3, maxSize: 5, instancesDistribution: {instanceTypes: [m5.large, m4.large], onDemandBaseCapacity: 0, onDemandPercentageAboveBaseCapacity: 0}, taints: {k: "v:NoSchedule", e: ":NoExecute"}}
- {name: half, instanceType: mixed, desiredCapacity: 1, instancesDistribution: {instanceTypes: [m5.large], onDemandPercentageAboveBaseCapacity: 50}}
fargateProfiles: [{name: fp}]
`)
	want := []workload.NodeGroup{
		{Name: "plain", Shapes: []string{"m5.large"}, Min: 2, Max: 2, Desired: 2},
		{Name: "spot", Shapes: []string{"c5.large", "c5a.large"}, Spot: true, Zones: []string{"sa-east-1a"}, Min: 1, Max: 9, Desired: 4, Labels: map[string]string{"a": "b"}, Taints: []workload.Taint{{Key: "k", Value: "v", Effect: workload.NoExecute}}},
		{Name: "mixed", Shapes: []string{"m5.large", "m4.large"}, Spot: true, Min: 3, Max: 5, Desired: 3, Taints: []workload.Taint{{Key: "e", Effect: workload.NoExecute}, {Key: "k", Value: "v", Effect: workload.NoSchedule}}},
		{Name: "half", Shapes: []string{"m5.large"}, Min: 1, Max: 1, Desired: 1},
	}
	for i := range want {
		if i >= len(d.Snapshot.NodeGroups) || !reflect.DeepEqual(d.Snapshot.NodeGroups[i], want[i]) {
			t.Errorf("%d:\ngot  %+v\nwant %+v", i, d.Snapshot.NodeGroups, want[i])
		}
	}
	if d.Snapshot.Region != "sa-east-1" || !covered(d, "half", "taken for on-demand") || !covered(d, "fargateProfiles") {
		t.Errorf("region %q, %+v", d.Snapshot.Region, d.NotCovered)
	}
}

func TestCurrent(t *testing.T) {
	dir := write(t, map[string]string{
		"pod.yaml":    aPod,
		"nodes.yaml":  "{apiVersion: v1, kind: Node, metadata: {name: n1}}",
		"eksctl.yaml": "{apiVersion: eksctl.io/v1alpha5, kind: ClusterConfig, metadata: {region: eu-west-1}, managedNodeGroups: [{name: a}]}",
		"none.yaml":   aPod,
	})
	for _, tc := range []struct {
		name, current string
		groups, nodes int
		wrong         bool
	}{
		{"machines", "3xm5.large, 2xspot:c5.xlarge,on-demand:m7g.metal-24xl", 3, 0, false},
		{"one machine", "t3.micro", 1, 0, false},
		{"nodes", dir + "/nodes.yaml", 0, 1, false},
		{"eksctl", dir + "/eksctl.yaml", 1, 0, false},
		{"no nodes", dir + "/none.yaml", 0, 0, true},
		{"neither file nor list", dir + "/missing.yaml", 0, 0, true},
		{"no file", "nodes.yaml", 0, 0, true},
		{"no number", "-3xm5.large", 0, 0, true},
		{"none", "0xm5.large", 0, 0, true},
		{"too many", "100000xm5.large", 0, 0, true},
		{"no type", "3xm5.larg", 0, 0, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, err := read(t, control.Sources{Paths: []string{dir + "/pod.yaml"}, Current: tc.current})
			if (err != nil) != tc.wrong {
				t.Fatal(err)
			}
			if err != nil && control.NextStep(err) == "" {
				t.Error("no next step")
			}
			if len(d.Snapshot.NodeGroups) != tc.groups || len(d.Snapshot.Nodes) != tc.nodes {
				t.Errorf("%+v, %+v", d.Snapshot.NodeGroups, d.Snapshot.Nodes)
			}
		})
	}
	groups, err := machines("3xm5.large,2xspot:c5.xlarge")
	if err != nil || groups[0].Desired != 3 || groups[0].Spot || groups[1].Desired != 2 || !groups[1].Spot || groups[1].Shapes[0] != "c5.xlarge" {
		t.Errorf("%+v, %v", groups, err)
	}
}
