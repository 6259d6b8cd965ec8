package catalog_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/unit"
)

func TestLabels(t *testing.T) {
	b := catalog.Builtin()
	const aws = "karpenter.k8s.aws/instance-"
	tests := []struct {
		name string
		want map[string]string
	}{
		{"m7g.large", map[string]string{
			"node.kubernetes.io/instance-type": "m7g.large", "kubernetes.io/arch": "arm64", "kubernetes.io/os": "linux",
			aws + "family": "m7g", aws + "size": "large", aws + "category": "m", aws + "generation": "7",
			aws + "cpu": "2", aws + "cpu-manufacturer": "aws", aws + "memory": "8192", aws + "hypervisor": "nitro",
			aws + "tenancy": "default", aws + "capability-flex": "false", aws + "encryption-in-transit-supported": "true",
			aws + "ebs-bandwidth": "10000", aws + "network-bandwidth": "937",
		}},
		{"g6f.large", map[string]string{
			aws + "gpu-name": "l4", aws + "gpu-manufacturer": "nvidia", aws + "gpu-count": "0", aws + "gpu-memory": "2861",
			aws + "local-nvme": "100", aws + "category": "g",
		}},
		{"inf2.24xlarge", map[string]string{
			aws + "accelerator-name": "inferentia2", aws + "accelerator-manufacturer": "aws", aws + "accelerator-count": "6",
		}},
	}
	for _, tt := range tests {
		s, _ := b.Shape(tt.name)
		got := s.Labels()
		if len(tt.want) < 10 {
			for key := range got {
				if _, asked := tt.want[key]; !asked {
					delete(got, key)
				}
			}
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s: -want +got\n%s", tt.name, d)
		}
	}
	offers, err := b.Offerings(catalog.Query{Region: "sa-east-1", Zones: []string{"sa-east-1a"}, Filter: catalog.Attributes{Allowed: []string{"m7g.large"}}})
	if err != nil || len(offers) != 2 {
		t.Fatalf("%v, %v", offers, err)
	}
	l := offers[1].Labels()
	shape := offers[1].Shape.Labels()
	maps.DeleteFunc(l, func(key, value string) bool { return shape[key] == value })
	want := map[string]string{
		"topology.kubernetes.io/region": "sa-east-1", "topology.kubernetes.io/zone": "sa-east-1a",
		"topology.k8s.aws/zone-id": "sae1-az1", "karpenter.sh/capacity-type": "spot",
	}
	if d := cmp.Diff(want, l); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

func TestAllocatable(t *testing.T) {
	b := catalog.Builtin()
	tests := []struct {
		name, shape string
		k           catalog.Kubelet
		want        unit.Resources
	}{
		{"as EKS sets it up", "m5.large", catalog.Kubelet{}, unit.Resources{CPU: 1930, Memory: 6903 * unit.MiB, Disk: 17 * unit.GiB, Pods: 29}},
		{"fewer pods leave more memory", "m5.large", catalog.Kubelet{MaxPods: 10}, unit.Resources{CPU: 1930, Memory: 7112 * unit.MiB, Disk: 17 * unit.GiB, Pods: 10}},
		{"pods by core", "m5.large", catalog.Kubelet{PodsPerCore: 4}, unit.Resources{CPU: 1930, Memory: 7134 * unit.MiB, Disk: 17 * unit.GiB, Pods: 8}},
		{"blocks of addresses", "m5.large", catalog.Kubelet{PrefixDelegation: true}, unit.Resources{CPU: 1930, Memory: 6012 * unit.MiB, Disk: 17 * unit.GiB, Pods: 110}},
		{"blocks of addresses on many cores", "m5.8xlarge", catalog.Kubelet{PrefixDelegation: true}, unit.Resources{CPU: 31850, Memory: 118136 * unit.MiB, Disk: 17 * unit.GiB, Pods: 250}},
		{"more reserved", "m5.large", catalog.Kubelet{Reserved: unit.Resources{CPU: 100, Memory: unit.GiB}, RootDisk: 100 * unit.GiB}, unit.Resources{CPU: 1830, Memory: 5879 * unit.MiB, Disk: 89 * unit.GiB, Pods: 29}},
		{"never negative", "t3.nano", catalog.Kubelet{Reserved: unit.Resources{CPU: 5000, Memory: unit.GiB}}, unit.Resources{Disk: 17 * unit.GiB, Pods: 4}},
		{"GPUs", "g5.12xlarge", catalog.Kubelet{}, unit.Resources{CPU: 47810, Memory: 173400 * unit.MiB, Disk: 17 * unit.GiB, Pods: 737, Extended: map[string]int64{"nvidia.com/gpu": 4}}},
		{"AMD's", "g4ad.xlarge", catalog.Kubelet{}, unit.Resources{CPU: 3920, Memory: 14712 * unit.MiB, Disk: 17 * unit.GiB, Pods: 8, Extended: map[string]int64{"amd.com/gpu": 1}}},
		{"Neuron", "inf2.24xlarge", catalog.Kubelet{}, unit.Resources{CPU: 95690, Memory: 355262 * unit.MiB, Disk: 17 * unit.GiB, Pods: 737, Extended: map[string]int64{"aws.amazon.com/neuron": 6}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := b.Shape(tt.shape)
			if d := cmp.Diff(tt.want, s.Allocatable(tt.k)); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
		})
	}
}

func TestFargate(t *testing.T) {
	services, err := catalog.RegionServices("us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	gib := func(n float64) unit.Bytes { return unit.Bytes(n * float64(unit.GiB)) }
	tests := []struct {
		name   string
		need   unit.Resources
		cpu    unit.MilliCPU
		memory float64
		price  string
	}{
		{"nothing", unit.Resources{}, 250, 0.5, "0.0123425"},
		{"256 MiB are added", unit.Resources{CPU: 250, Memory: gib(0.25)}, 250, 0.5, "0.0123425"},
		{"and round up", unit.Resources{CPU: 250, Memory: gib(0.25) + 1}, 250, 1, "0.014565"},
		{"memory needs a processor", unit.Resources{CPU: 100, Memory: gib(2)}, 500, 3, "0.033575"},
		{"processor needs memory", unit.Resources{CPU: 1500, Memory: gib(1)}, 2000, 4, "0.09874"},
		{"one core", unit.Resources{CPU: 1000, Memory: gib(4)}, 1000, 5, "0.062705"},
		{"steps of 4", unit.Resources{CPU: 8000, Memory: gib(17)}, 8000, 20, "0.41274"},
		{"steps of 8", unit.Resources{CPU: 9000, Memory: gib(32)}, 16000, 40, "0.82548"},
		{"disk above 20 GiB", unit.Resources{Disk: gib(30)}, 250, 0.5, "0.0134525"},
		{"largest", unit.Resources{CPU: 16000, Memory: gib(119.75)}, 16000, 120, "1.18108"},
		{"too much memory", unit.Resources{Memory: gib(119.75) + 1}, 0, 0, ""},
		{"too many cores", unit.Resources{CPU: 16001}, 0, 0, ""},
		{"too much disk", unit.Resources{Disk: gib(176)}, 0, 0, ""},
		{"GPU", unit.Resources{Extended: map[string]int64{"nvidia.com/gpu": 1}}, 0, 0, ""},
		{"no GPU", unit.Resources{Extended: map[string]int64{"nvidia.com/gpu": 0}}, 250, 0.5, "0.0123425"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			task, ok := catalog.FargateSize(tt.need)
			if ok != (tt.price != "") || task.CPU != tt.cpu || task.Memory != gib(tt.memory) {
				t.Fatalf("%+v, %v; want %v, %v GiB", task, ok, tt.cpu, tt.memory)
			}
			if ok && task.Hourly(services).String() != tt.price {
				t.Errorf("costs %s, want %s", task.Hourly(services), tt.price)
			}
		})
	}
}

func BenchmarkBuiltin(b *testing.B) {
	for b.Loop() {
		catalog.Builtin()
	}
}

func BenchmarkOfferings(b *testing.B) {
	book := catalog.Builtin()
	for b.Loop() {
		if _, err := book.Offerings(catalog.Query{Region: "us-east-1"}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLabels(b *testing.B) {
	offers, err := catalog.Builtin().Offerings(catalog.Query{Region: "us-east-1"})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for o := range slices.Values(offers) {
			o.Labels()
		}
	}
}
