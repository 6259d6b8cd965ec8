package catalog_test

import (
	_ "embed"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/unit"
)

//go:embed testdata/types.txt
var published string

// TestPublished compares one type of each family with what AWS publishes.
func TestPublished(t *testing.T) {
	b := catalog.Builtin()
	families := map[string]bool{}
	for _, s := range b.Shapes() {
		families[s.Family] = false
	}
	for line := range strings.Lines(published) {
		w := strings.Fields(line)
		if w[0] == "#" {
			continue
		}
		s, ok := b.Shape(w[0])
		if !ok {
			t.Errorf("%s is missing", w[0])
			continue
		}
		families[s.Family] = true
		p := b.Price(s.Name, "us-east-1")
		spot := "-"
		if p.Spot > 0 {
			spot = strconv.Itoa(p.Saving) + "/" + strconv.Itoa(int(p.Band))
		}
		left := s.Allocatable(catalog.Kubelet{})
		got := []string{
			s.Name, string(s.Arch), strconv.Itoa(s.VCPU), strconv.FormatInt(int64(s.Memory/unit.MiB), 10), strconv.Itoa(s.GPU.Count),
			strconv.FormatInt(int64(s.LocalDisk/unit.GB), 10), strconv.Itoa(s.NetworkMbps), strconv.Itoa(s.EBSMbps),
			strconv.Itoa(s.MaxENIs), strconv.Itoa(s.IPv4PerENI), strconv.Itoa(s.MaxPods),
			strconv.FormatInt(int64(left.CPU), 10) + "m", strconv.FormatInt(int64(left.Memory/unit.MiB), 10) + "Mi", p.OnDemand.String(), spot,
		}
		if !slices.Equal(got, w) {
			t.Errorf("\n got %v\nwant %v", got, w)
		}
	}
	for f, seen := range families {
		if !seen {
			t.Errorf("no type of family %s is compared", f)
		}
	}
}

func TestBuiltinIsWhole(t *testing.T) {
	b := catalog.Builtin()
	if n := len(b.Shapes()); n != 1345 {
		t.Errorf("%d types, want 1345", n)
	}
	names := map[string]bool{}
	for _, s := range b.Shapes() {
		if names[s.Name] || s.VCPU < 1 || s.Memory < unit.MiB || s.Vendor == "" || s.MaxENIs < 1 || s.MaxPods < 1 || s.Generation < 1 {
			t.Errorf("%+v", s)
		}
		names[s.Name] = true
		if b.Price(s.Name, "us-east-1").OnDemand <= 0 {
			t.Errorf("%s has no price", s.Name)
		}
	}
	figures := 0
	for _, m := range b.Markets() {
		if m.Region.OnDemand.AsOf.IsZero() || m.Region.Title == "" || len(m.Region.Zones) < 3 {
			t.Errorf("%+v", m.Region)
		}
		if m.Region.OnDemand.Approximate == (m.Region.Name == "us-east-1") {
			t.Errorf("%s: approximate is %v", m.Region.Name, m.Region.OnDemand.Approximate)
		}
		for name, p := range m.Prices {
			if p.Spot > 0 {
				figures++
			}
			if !p.Sold() || p.OnDemand < 0 {
				t.Errorf("%s in %s: %+v", name, m.Region.Name, p)
			}
		}
		services, err := catalog.RegionServices(m.Region.Name)
		if err != nil || services.Price(catalog.EKSCluster) != 100_000_000 || services.Price(catalog.FargateVCPU) == 0 {
			t.Errorf("%s: %v, %v", m.Region.Name, services, err)
		}
	}
	if figures != 7279 {
		t.Errorf("%d figures of spot, want 7279", figures)
	}
}

func TestRegionalPrices(t *testing.T) {
	b := catalog.Builtin()
	tests := []struct{ name, region, want string }{
		{"m5.large", "us-east-1", "0.096"},
		{"m5.large", "us-west-2", "0.096"},
		{"m5.large", "sa-east-1", "0.15302"},  // listed: 0.153
		{"m5.large", "eu-west-1", "0.10704"},  // listed: 0.107
		{"c6g.large", "eu-west-1", "0.07296"}, // listed: 0.073
		{"c5.large", "eu-west-1", "0.09597"},  // listed: 0.096
		{"t4g.medium", "ap-south-1", "0.02201"},
		{"m8i.large", "us-east-1", "0.10584"},
		{"m8i.large", "eu-west-1", "0"}, // nothing is known of it there
		{"t2.nano", "eu-west-1", "0.00636"},
		{"no.such", "us-east-1", "0"},
		{"m5.large", "nowhere", "0"},
	}
	for _, tt := range tests {
		if got := b.Price(tt.name, tt.region).OnDemand.String(); got != tt.want {
			t.Errorf("%s in %s: %s, want %s", tt.name, tt.region, got, tt.want)
		}
	}
}

func TestNamedShape(t *testing.T) {
	tests := []struct {
		name, family, size, category string
		generation                   int
	}{
		{"m7g.2xlarge", "m7g", "2xlarge", "m", 7},
		{"u-6tb1.112xlarge", "u-6tb1", "112xlarge", "u", 1},
		{"u7i-12tb.224xlarge", "u7i-12tb", "224xlarge", "u", 7},
		{"p6-b200.48xlarge", "p6-b200", "48xlarge", "p", 6},
		{"im4gn.large", "im4gn", "large", "im", 4},
		{"x.y", "x", "y", "x", 0},
		{"c10.large", "c10", "large", "c", 10},
	}
	for _, tt := range tests {
		s, err := catalog.NamedShape(tt.name)
		if err != nil || s.Family != tt.family || s.Size != tt.size || s.Category != tt.category || s.Generation != tt.generation {
			t.Errorf("%+v, %v", s, err)
		}
	}
	for _, bad := range []string{"", "m5", "m5.", ".large", "M5.large", "m5 .large"} {
		if _, err := catalog.NamedShape(bad); !errors.Is(err, catalog.ErrName) {
			t.Errorf("%q: %v, want ErrName", bad, err)
		}
	}
	for name, want := range map[string][3]bool{"t3.nano": {false, true, false}, "c5.metal": {true, false, false}, "m8i-flex.large": {false, false, true}, "c8g.metal-24xl": {true, false, false}} {
		s, _ := catalog.Builtin().Shape(name)
		if got := [3]bool{s.Metal, s.Burstable, s.Flex}; got != want {
			t.Errorf("%s: metal, burstable, flex %v, want %v", name, got, want)
		}
	}
}

func TestOfferings(t *testing.T) {
	b := catalog.Builtin()
	only := catalog.Attributes{Allowed: []string{"m5.large", "m8i.large"}}
	tests := []struct {
		name string
		q    catalog.Query
		want string
	}{
		{
			"zones, on demand and spot",
			catalog.Query{Region: "eu-west-1", Zones: []string{"eu-west-1c", "eu-west-1a"}, Filter: only},
			"m5.large eu-west-1a euw1-az1 on-demand 0.10704; m5.large eu-west-1a euw1-az1 spot 0.0460272; m5.large eu-west-1c euw1-az3 on-demand 0.10704; m5.large eu-west-1c euw1-az3 spot 0.0460272",
		},
		{
			"one way",
			catalog.Query{Region: "us-east-1", Zones: []string{"us-east-1f"}, Capacities: []catalog.CapacityType{catalog.OnDemand}, Filter: only},
			"m5.large us-east-1f use1-az6 on-demand 0.096; m8i.large us-east-1f use1-az6 on-demand 0.10584",
		},
		{
			"no spot without a figure",
			catalog.Query{Region: "us-east-1", Zones: []string{"us-east-1f"}, Capacities: []catalog.CapacityType{catalog.Spot}, Filter: only},
			"m5.large us-east-1f use1-az6 spot 0.03264",
		},
		{"neither", catalog.Query{Region: "us-east-1", Capacities: []catalog.CapacityType{catalog.Fargate}, Filter: only}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := b.Offerings(tt.q)
			var text []string
			for _, o := range got {
				text = append(text, strings.Join([]string{o.Shape.Name, o.Zone, o.ZoneID, string(o.Capacity), o.Price.String()}, " "))
			}
			if joined := strings.Join(text, "; "); err != nil || joined != tt.want {
				t.Errorf("%v\n got %s\nwant %s", err, joined, tt.want)
			}
		})
	}
	for want, q := range map[string]catalog.Query{
		`region "mars": the catalog does not know it; it has ap-northeast-1, ap-south-1, ap-southeast-1, ca-central-1, eu-central-1, eu-west-1, sa-east-1, us-east-1, us-east-2, us-west-2`: {Region: "mars"},
		`zone "eu-west-1z": the catalog does not know it; eu-west-1 has eu-west-1a, eu-west-1b, eu-west-1c`:                                                                                 {Region: "eu-west-1", Zones: []string{"eu-west-1a", "eu-west-1z"}},
	} {
		if _, err := b.Offerings(q); !errors.Is(err, catalog.ErrUnknown) || err.Error() != want {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
}

// own is a book of three shapes in a region with two zones.
func own(t *testing.T) *catalog.Book {
	t.Helper()
	var shapes []catalog.Shape
	for _, name := range []string{"m9.large", "g9.large", "m1.large"} {
		s, err := catalog.NamedShape(name)
		if err != nil {
			t.Fatal(err)
		}
		s.VCPU, s.Memory, s.Current = 2, unit.GiB, name != "m1.large"
		shapes = append(shapes, s)
	}
	b, err := catalog.NewBook(shapes, []catalog.Market{{
		Region: catalog.Region{Name: "r", Zones: []catalog.Zone{{Name: "ra"}, {Name: "rb"}}},
		Prices: map[string]catalog.Price{
			"m9.large": {OnDemand: 100, Zones: map[string]unit.NanoUSD{"ra": 30, "rb": 90}},
			"g9.large": {OnDemand: 130, Spot: 45},
			"m1.large": {OnDemand: 10, Spot: 65, Zones: map[string]unit.NanoUSD{"rb": 0}},
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPriceProtection(t *testing.T) {
	b := own(t)
	tests := []struct {
		name string
		a    catalog.Attributes
		want string
	}{
		{"off", catalog.Attributes{}, "m1 rb 10, m1 rb 65, m9 ra 100, m9 ra 30, m9 rb 100, m9 rb 90, g9 ra 130, g9 ra 45, g9 rb 130, g9 rb 45"},
		{"on demand", catalog.Attributes{OnDemandOverLowest: 20}, "m1 rb 10, m1 rb 65, m9 ra 100, m9 ra 30, m9 rb 100, m9 rb 90, g9 ra 45, g9 rb 45"},
		{"spot", catalog.Attributes{SpotOverLowest: 100}, "m1 rb 10, m9 ra 100, m9 ra 30, m9 rb 100, g9 ra 130, g9 ra 45, g9 rb 130, g9 rb 45"},
		{"spot against on demand", catalog.Attributes{SpotOfOnDemand: 40, SpotOverLowest: 999}, "m1 rb 10, m9 ra 100, m9 ra 30, m9 rb 100, g9 ra 130, g9 rb 130"},
		{"only other categories", catalog.Attributes{Allowed: []string{"g*"}, OnDemandOverLowest: 1}, "g9 ra 130, g9 ra 45, g9 rb 130, g9 rb 45"},
		{"only previous generations", catalog.Attributes{Generations: []string{"previous"}, SpotOverLowest: 1}, "m1 rb 10, m1 rb 65"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := b.Offerings(catalog.Query{Region: "r", Filter: tt.a})
			var text []string
			for _, o := range got {
				text = append(text, o.Shape.Family+" "+o.Zone+" "+strconv.FormatInt(int64(o.Price), 10))
			}
			if joined := strings.Join(text, ", "); err != nil || sorted(joined) != sorted(tt.want) {
				t.Errorf("%v\n got %s\nwant %s", err, joined, tt.want)
			}
		})
	}
}

func sorted(list string) string {
	parts := strings.Split(list, ", ")
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

func TestNewBookRefuses(t *testing.T) {
	s := catalog.Shape{Name: "a.b"}
	r := catalog.Market{Region: catalog.Region{Name: "r"}}
	if _, err := catalog.NewBook([]catalog.Shape{s, s}, nil); err == nil {
		t.Error("a shape twice is not refused")
	}
	if _, err := catalog.NewBook([]catalog.Shape{s}, []catalog.Market{r, r}); err == nil {
		t.Error("a region twice is not refused")
	}
	r.Prices = map[string]catalog.Price{"x.y": {}}
	if _, err := catalog.NewBook([]catalog.Shape{s}, []catalog.Market{r}); !errors.Is(err, catalog.ErrUnknown) {
		t.Errorf("%v, want ErrUnknown", err)
	}
}

func TestBand(t *testing.T) {
	for b, want := range map[catalog.Band]string{0: "<5%", 1: "5-10%", 2: "10-15%", 3: "15-20%", 4: ">20%", catalog.BandUnknown: "unknown"} {
		if b.String() != want {
			t.Errorf("%d is %s, want %s", b, b, want)
		}
	}
	if catalog.BandUnknown.Monthly() != 12.5 || catalog.Band(4).Monthly() != 25 || math.Signbit(catalog.Band(0).Monthly()-2.5) {
		t.Error("the middle of a band is wrong")
	}
}
