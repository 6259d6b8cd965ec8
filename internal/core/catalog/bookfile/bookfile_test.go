package bookfile_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/catalog/bookfile"
	"github.com/tatami-platform/tatami/internal/core/unit"
)

// own is a book with everything that the built-in one lacks.
func own(t *testing.T) *catalog.Book {
	t.Helper()
	shape := func(name string) catalog.Shape {
		s, err := catalog.NamedShape(name)
		if err != nil {
			t.Fatal(err)
		}
		s.Arch, s.VCPU, s.Memory = catalog.AMD64, 2, 4*unit.GiB
		return s
	}
	a, b, unsold := shape("m99x.large"), shape("z99.metal"), shape("m99x.xlarge")
	a.ClockMHz, a.GPU = 3100, catalog.Accelerators{Count: 2, Name: "new", Manufacturer: "nvidia", Memory: unit.GiB}
	a.Accelerator = catalog.Accelerators{Count: 1, Name: "123", Manufacturer: "aws", Memory: unit.MiB}
	b.EncryptsTransit = true
	book, err := catalog.NewBook([]catalog.Shape{a, b, unsold, shape("z99.large"), shape("z99.xlarge")}, []catalog.Market{
		{Region: catalog.Region{
			Name: "moon-1", Title: "Sea of Tranquility, \"south\"",
			Zones:    []catalog.Zone{{Name: "moon-1a", ID: "mo1-az1"}, {Name: "moon-1b"}},
			OnDemand: catalog.Source{Name: "a, b", Approximate: true},
		}, Prices: map[string]catalog.Price{
			"m99x.large": {OnDemand: 1, Spot: 3, Saving: -200, Band: 4, Zones: map[string]unit.NanoUSD{"moon-1a": 5, "moon-1b": 0}},
			"z99.metal":  {OnDemand: unit.USD, Band: catalog.BandUnknown},
			"z99.large":  {OnDemand: 7, Saving: 50, Band: 1, Zones: map[string]unit.NanoUSD{"moon-1a": 4, "moon-1b": 0}},
			"z99.xlarge": {Band: catalog.BandUnknown, Zones: map[string]unit.NanoUSD{"moon-1b": 4}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return book
}

func TestRoundTrip(t *testing.T) {
	base := catalog.Builtin()
	for name, b := range map[string]*catalog.Book{"built-in": base, "own": own(t)} {
		for form, write := range map[string]func(*bytes.Buffer) error{
			"CSV":  func(w *bytes.Buffer) error { return bookfile.WriteCSV(w, b) },
			"JSON": func(w *bytes.Buffer) error { return bookfile.WriteJSON(w, b) },
		} {
			t.Run(name+" "+form, func(t *testing.T) {
				var w bytes.Buffer
				if err := write(&w); err != nil {
					t.Fatal(err)
				}
				if strings.Contains(w.String(), "0001-01-01") {
					t.Error("a date that nobody gave")
				}
				// Not base: what the file does not say must not come from there.
				empty, err := catalog.NewBook(nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				got, err := bookfile.Read(w.Bytes(), empty, "")
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(b.Shapes(), got.Shapes()); d != "" {
					t.Errorf("shapes: -want +got\n%s", d)
				}
				if d := cmp.Diff(b.Markets(), got.Markets()); d != "" {
					t.Errorf("markets: -want +got\n%s", d)
				}
			})
		}
	}
}

func TestReadFillsIn(t *testing.T) {
	base := catalog.Builtin()
	tests := []struct {
		name, file string
		check      func(t *testing.T, b *catalog.Book)
	}{
		{"what tatami catalog prints", "\ufefftype,arch,vcpu,memoryMiB,gpus,maxPods,onDemandUSDHour,spotSavingPercent,interruptionBand\r\n" +
			"m7g.large,arm64,2,8192,0,29,0.1,60,2\r\nm7g.xlarge,arm64,4,16384,0,58,0.2,,\r\n", func(t *testing.T, b *catalog.Book) {
			t.Helper()
			p := b.Price("m7g.large", "sa-east-1")
			if p.OnDemand != 100_000_000 || p.Spot != 40_000_000 || p.Band != 2 {
				t.Errorf("%+v", p)
			}
			if p := b.Price("m7g.xlarge", "sa-east-1"); p.Spot != 0 || p.Band != catalog.BandUnknown {
				t.Errorf("%+v", p)
			}
			s, _ := b.Shape("m7g.large")
			known, _ := base.Shape("m7g.large")
			if d := cmp.Diff(known, s); d != "" {
				t.Error(d)
			}
			r, err := b.Region("sa-east-1")
			if err != nil || len(r.Zones) != 3 || r.OnDemand.Name != "catalog file" {
				t.Errorf("%+v, %v", r, err)
			}
		}},
		{"own price of a known type, as JSON", `{"rows": [{"type": "m5.large", "region": "here", "onDemandUSDHour": 0.05, "spotUSDHour": 0.02, "networkMbps": null}]}`, func(t *testing.T, b *catalog.Book) {
			t.Helper()
			if p := b.Price("m5.large", "here"); p.OnDemand != 50_000_000 || p.Saving != 60 || p.Zones != nil {
				t.Errorf("%+v", p)
			}
			if r, _ := b.Region("here"); len(r.Zones) != 1 || r.Zones[0].Name != "herea" {
				t.Errorf("%+v", r)
			}
		}},
		{"an unknown type", "type,vcpu,memoryMiB,onDemandUSDHour\nown.big,8,1024,1\n", func(t *testing.T, b *catalog.Book) {
			t.Helper()
			s, ok := b.Shape("own.big")
			if !ok || s.MaxPods != 110 || s.Arch != catalog.AMD64 || s.Family != "own" || !s.Current {
				t.Errorf("%+v", s)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := bookfile.Read([]byte(tt.file), base, "sa-east-1")
			if err != nil {
				t.Fatal(err)
			}
			tt.check(t, b)
		})
	}
}

func TestFaults(t *testing.T) {
	const head = "type,region,vcpu,memoryMiB,onDemandUSDHour,spotSavingPercent,interruptionBand,zones,current,arch\n"
	tests := []struct{ name, file, want string }{
		{"empty", "", "the file has no types"},
		{"only a header", head, "the file has no types"},
		{"not CSV", "type,onDemandUSDHour\nm5.large,\"0.1\n", "line 2, column 15: extraneous or missing \" in quoted-field"},
		{"unknown column", "type,price\n", `line 1, column 6: there is no column "price"`},
		{"column twice", "type,type\n", `line 1, column 6: the column "type" is there twice`},
		{"missing column", "type,vcpu\n", "line 1, column 1: the column onDemandUSDHour is missing"},
		{"short row", "type,onDemandUSDHour\nm5.large\n", "line 2, column 1: 1 cells, but there are 2 columns"},
		{"not a type", head + "large,,,,,,,,,\n", `line 2, column 1: type "large": this is not the name of an instance type, such as m7g.xlarge`},
		{"unknown type without a shape", head + "x.y,,,,,,,,,\n", `line 2, column 1: type "x.y": this type needs vcpu and memoryMiB, because the built-in catalog does not know it`},
		{"not a number", head + "m5.large,,two,,,,,,,\n", `line 2, column 11: vcpu "two": it must be a whole number, 0 or more`},
		{"negative memory", head + "m5.large,,,-1,,,,,,\n", `line 2, column 12: memoryMiB "-1": it must be a whole number, 0 or more`},
		{"negative price", head + "m5.large,,,,-1,,,,,\n", `line 2, column 13: onDemandUSDHour "-1": it must be dollars per hour, such as 0.096`},
		{"price in words", head + "m5.large,,,,cheap,,,,,\n", `line 2, column 13: onDemandUSDHour "cheap": it must be dollars per hour, such as 0.096`},
		{"saving", head + "m5.large,,,,1,101,,,,\n", `line 2, column 15: spotSavingPercent "101": it must be percent, at most 100`},
		{"band", head + "m5.large,,,,1,50,7,,,\n", `line 2, column 18: interruptionBand "7": it must be a number from 0 (under 5 %) to 4 (over 20 %), or empty`},
		{"zone", head + "m5.large,eu-west-1,,,1,50,1,eu-west-1z,,\n", `line 2, column 29: zones "eu-west-1z": eu-west-1 has no zone "eu-west-1z"`},
		{"zone price", head + "m5.large,eu-west-1,,,1,50,1,eu-west-1a=x,,\n", `line 2, column 29: zones "eu-west-1a=x": "x" is not dollars per hour`},
		{"region", head + "m5.large,No Where,,,1,,,,,\n", `line 2, column 10: region "No Where": this is not a region`},
		{"flag", head + "m5.large,,,,1,,,,maybe,\n", `line 2, column 18: current "maybe": it must be true or false`},
		{"architecture", head + "m5.large,,,,1,,,,,sparc\n", `line 2, column 19: arch "sparc": it must be amd64, arm64 or -`},
		{"twice", head + "m5.large,,,,1,,,,,\nm5.large,,,,2,,,,,\n", `line 3, column 1: type "m5.large": this type is there twice in us-east-1`},
		{"two shapes", head + "m5.large,a,,,1,,,,,\nm5.large,b,3,,2,,,,,\n", `line 3, column 12: vcpu "3": an earlier row of m5.large says 2`},
		{"region line", "#region,x\n", "line 1, column 1: 2 cells where a region has 10"},
		{"region twice", strings.Repeat("#region,x,,xa,,,,,,\n", 2), `line 2, column 1: the region "x" is described twice, or after its first row`},
		{"region without zones", "#region,x,,,,,,,,\n", `line 1, column 1: the region "x" has no zones`},
		{"region without a name", "#region,,,xa,,,,,,\n", `line 1, column 1: "" is not the name of a region`},
		{"zone without a name", `{"regions": [{"name": "x", "zones": [{"id": "y"}]}]}`, `line 1, column 14: "" is not the name of a zone, or "y" not its id`},
		{"JSON region", `{"regions": [3]}`, "line 1, column 14: json: cannot unmarshal number into Go value of type catalog.Region"},
		{"date", "#region,x,,xa,,yesterday,,,,\n", `line 1, column 1: "yesterday" is not a date such as 2026-07-31T00:00:00Z`},
		{"JSON cut short", "{\"rows\": [\n {\"type\": \"m5.large\"", "line 2, column 20: unexpected end of JSON input"},
		{"JSON syntax", "{\"rows\": [\n {\"type\" \"m5.large\"}]}", "line 2, column 10: invalid character '\"' after object key"},
		{"JSON key", `{"types": []}`, `line 1, column 11: "types" is neither regions nor rows`},
		{"JSON column", "{\"rows\": [\n  {\"typ\": \"m5.large\"}]}", `line 2, column 3: there is no column "typ"`},
		{"JSON not a list", `{"rows": {}}`, "line 1, column 10: this must be a list"},
		{"JSON value", "{\"rows\": [{\"type\": \"m5.large\"},\n  {\"type\": \"m5.xlarge\", \"vcpu\": [1]}]}", `line 2, column 3: vcpu "[1]": it must be a whole number, 0 or more`},
		{"JSON row", `{"rows": [3]}`, "line 1, column 11: a row must be an object"},
	}
	base := catalog.Builtin()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := bookfile.Read([]byte(tt.file), base, "us-east-1")
			f, ok := errors.AsType[*bookfile.Fault](err)
			if !ok || f.Error() != tt.want {
				t.Fatalf("%v\nwant %s", err, tt.want)
			}
			if f.Next == "" {
				t.Error("the fault does not say what to do")
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("type,region,onDemandUSDHour,spotUSDHour,zones\nm5.large,eu-west-1,1,0.5,eu-west-1a=0.4\n"))
	f.Add([]byte("#region,x,,xa/y,,,,,,\ntype,onDemandUSDHour,vcpu,memoryMiB\na.b,1,1,1\n"))
	f.Add([]byte(`{"regions": [{"name": "x", "zones": [{"name": "y"}]}], "rows": [{"type": "m5.large", "region": "x"}]}`))
	base := catalog.Builtin()
	f.Fuzz(func(t *testing.T, content []byte) {
		b, err := bookfile.Read(content, base, "us-east-1")
		if err != nil {
			if f, ok := errors.AsType[*bookfile.Fault](err); !ok || f.Next == "" {
				t.Errorf("not a fault with advice: %v", err)
			}
			return
		}
		var w bytes.Buffer
		if err := bookfile.WriteCSV(&w, b); err != nil {
			t.Fatal(err)
		}
		again, err := bookfile.Read(w.Bytes(), base, "us-east-1")
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, w.Bytes())
		}
		if d := cmp.Diff(b.Markets(), again.Markets()); d != "" {
			t.Errorf("-first +again\n%s", d)
		}
	})
}
