package catalog_test

import (
	"errors"
	"testing"

	"github.com/tatami-platform/tatami/internal/core/catalog"
)

func between(t *testing.T, s string) *catalog.Range {
	t.Helper()
	r, err := catalog.ParseRange(s)
	if err != nil {
		t.Fatal(err)
	}
	return &r
}

func TestParseRange(t *testing.T) {
	for _, s := range []string{"4", "2..16", "4..", "..8", "0.5..1.5", "0..", "0"} {
		if got := between(t, s).String(); got != s {
			t.Errorf("%s is written as %s", s, got)
		}
	}
	for _, s := range []string{"", "..", "x", "4..x", "-1", "8..4", "NaN", "1...2", "1-2"} {
		if r, err := catalog.ParseRange(s); !errors.Is(err, catalog.ErrRange) {
			t.Errorf("%q: %v, %v; want ErrRange", s, r, err)
		}
	}
}

func TestAttributes(t *testing.T) {
	b := catalog.Builtin()
	tests := []struct {
		name    string
		a       catalog.Attributes
		yes, no []string
	}{
		{"all", catalog.Attributes{}, []string{"m5.large", "c5.metal", "t3.nano", "g6f.large", "m1.small"}, nil},
		{"EC2's defaults", catalog.EC2Defaults(), []string{"m5.large", "m1.small"}, []string{"c5.metal", "t3.nano"}},
		{"processors", catalog.Attributes{VCPUs: between(t, "2..4")}, []string{"m5.large", "m5.xlarge"}, []string{"m7g.medium", "m5.2xlarge"}},
		{"memory", catalog.Attributes{MemoryMiB: between(t, "8192")}, []string{"m5.large"}, []string{"m5.xlarge", "c5.large"}},
		{"memory per processor", catalog.Attributes{MemoryPerVCPU: between(t, "4..8")}, []string{"m5.large", "r5.large"}, []string{"c5.large", "x2gd.large"}},
		{"architecture", catalog.Attributes{Archs: []catalog.Arch{catalog.ARM64}}, []string{"m7g.large"}, []string{"m7i.large"}},
		{"maker", catalog.Attributes{CPUManufacturers: []string{"amd"}}, []string{"m7a.large"}, []string{"m7i.large", "m7g.large"}},
		{"maker as EC2 names it", catalog.Attributes{CPUManufacturers: []string{"amazon-web-services"}}, []string{"m7g.large"}, []string{"m7a.large"}},
		{"generation", catalog.Attributes{Generations: []string{"current"}}, []string{"m5.large"}, []string{"m4.large", "a1.large"}},
		{"metal", catalog.Attributes{BareMetal: catalog.Required}, []string{"c5.metal", "m8i.metal-96xl"}, []string{"c5.large"}},
		{"burstable", catalog.Attributes{Burstable: catalog.Excluded}, []string{"m5.large"}, []string{"t4g.large"}},
		{"GPUs", catalog.Attributes{GPUs: between(t, "2..4")}, []string{"g5.12xlarge"}, []string{"g5.xlarge", "inf1.6xlarge", "m5.large"}},
		{"no GPUs", catalog.Attributes{GPUs: between(t, "0")}, []string{"m5.large", "inf2.xlarge"}, []string{"g5.xlarge", "g6f.large"}},
		{"no accelerators", catalog.Attributes{Accelerators: between(t, "0")}, []string{"m5.large"}, []string{"g5.xlarge", "inf2.xlarge", "g6f.large"}},
		{"kind of accelerator", catalog.Attributes{AcceleratorTypes: []string{"inference"}}, []string{"inf2.xlarge"}, []string{"g5.xlarge", "m5.large"}},
		{"maker of the accelerator", catalog.Attributes{AcceleratorManufacturers: []string{"nvidia"}}, []string{"g5.xlarge", "g6f.large"}, []string{"g4ad.xlarge", "trn1.2xlarge", "m5.large"}},
		{"model", catalog.Attributes{AcceleratorNames: []string{"l4", "inferentia2"}}, []string{"g6.xlarge", "inf2.xlarge"}, []string{"g5.xlarge"}},
		{"memory of accelerators", catalog.Attributes{AcceleratorTotalMiB: between(t, "90000..")}, []string{"g5.12xlarge"}, []string{"g5.xlarge", "m5.large"}},
		{"disks", catalog.Attributes{LocalStorage: catalog.Required}, []string{"m5d.large"}, []string{"m5.large"}},
		{"size of disks", catalog.Attributes{LocalStorageGB: between(t, "100..200")}, []string{"m5d.xlarge"}, []string{"m5d.large", "m5.large"}},
		{"interfaces", catalog.Attributes{NetworkInterfaces: between(t, "15..")}, []string{"m5.24xlarge"}, []string{"m5.large"}},
		{"network", catalog.Attributes{NetworkGbps: between(t, "0.75")}, []string{"m5.large"}, []string{"m5.xlarge"}},
		{"EBS", catalog.Attributes{EBSMbps: between(t, "10000..")}, []string{"m6i.large"}, []string{"m5.large"}},
		{"encryption", catalog.Attributes{EncryptsTransit: true}, []string{"m6i.large", "m5n.large"}, []string{"m5.large", "m6g.large"}},
		{"names", catalog.Attributes{Allowed: []string{"m7g.*", "c*.large"}, Excluded: []string{"*.metal", "c5?.large"}}, []string{"m7g.large", "c5.large"}, []string{"m7g.metal", "c5a.large", "m5.large"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			check := func(names []string, want bool) {
				for _, name := range names {
					s, ok := b.Shape(name)
					if !ok || tt.a.Allow(s) != want {
						t.Errorf("%s: %v, want %v", name, !want, want)
					}
				}
			}
			check(tt.yes, true)
			check(tt.no, false)
		})
	}
}
