package trace_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/trace"
)

const valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// TestParse follows the test suite of the W3C specification.
func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     string // what we would forward; empty: refused
	}{
		{"valid", valid, valid},
		{"not sampled", valid[:53] + "00", valid[:53] + "00"},
		{"random flag", valid[:53] + "03", valid[:53] + "03"},
		{"unknown flags are not passed on", valid[:53] + "ff", valid[:53] + "03"},
		{"later version", "cc" + valid[2:], valid},
		{"later version with more", "cc" + valid[2:] + "-what-the-future-will-be", valid},
		{"later version with dash only", "cc" + valid[2:] + "-", valid},
		{"later version without dash", "cc" + valid[2:] + ".what", ""},
		{"version ff", "ff" + valid[2:], ""},
		{"version 00 with more", valid + "-what", ""},
		{"version 00 with dash", valid + "-", ""},
		{"version of one character", valid[1:], ""},
		{"version upper case", "0A" + valid[2:], ""},
		{"version not hexadecimal", "0." + valid[2:], ""},
		{"trace ID of zeros", "00-" + strings.Repeat("0", 32) + valid[35:], ""},
		{"trace ID upper case", strings.Replace(valid, "4bf9", "4BF9", 1), ""},
		{"trace ID with a dot", strings.Replace(valid, "4bf9", ".bf9", 1), ""},
		{"trace ID too short", "00-" + valid[4:], ""},
		{"trace ID too long", "00-0" + valid[3:], ""},
		{"span ID of zeros", valid[:36] + strings.Repeat("0", 16) + valid[52:], ""},
		{"span ID upper case", strings.Replace(valid, "00f067aa", "00F067AA", 1), ""},
		{"span ID too long", valid[:36] + "0" + valid[36:], ""},
		{"flags too long", valid + "0", ""},
		{"flags too short", valid[:54], ""},
		{"flags not hexadecimal", valid[:53] + "0x", ""},
		{"dashes elsewhere", strings.ReplaceAll(valid, "-", "_"), ""},
		{"blank before", " " + valid, ""},
		{"blank behind", valid + " ", ""},
		{"empty", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := trace.Parse(c.in)
			if ok != (c.want != "") {
				t.Fatalf("accepted: %v", ok)
			}
			if ok && got.String() != c.want {
				t.Errorf("forwards %s, want %s", got.String(), c.want)
			}
		})
	}
}

func TestState(t *testing.T) {
	many := func(n int) string {
		members := make([]string, n)
		for i := range members {
			members[i] = "k" + strings.Repeat("x", i) + "=1"
		}
		return strings.Join(members, ",")
	}
	for _, c := range []struct {
		name, in string
		want     bool
	}{
		{"empty", "", true},
		{"one", "foo=1", true},
		{"two with blanks", "foo=1 , \tbar=2", true},
		{"empty members", "foo=1,,bar=2,", true},
		{"tenant", "fw529a3039@dt=FfffffI8", true},
		{"tenant beginning with a digit", "0a@dt=1", true},
		{"all bytes of keys", "a-_*/0=1", true},
		{"all bytes of values", "foo= !\"#$%&'()*+-./:;<>?@[]^_`{|}~", true},
		{"32 members", many(32), true},
		{"33 members", many(33), false},
		{"key twice", "foo=1,foo=1", false},
		{"key upper case", "FOO=1", false},
		{"key with a blank", "fo o=1", false},
		{"blank behind the key", "foo =1", false},
		{"key begins with a digit", "0foo=1", false},
		{"key empty", "=1", false},
		{"key of 256", strings.Repeat("a", 256) + "=1", true},
		{"key of 257", strings.Repeat("a", 257) + "=1", false},
		{"tenant of 242", strings.Repeat("t", 242) + "@v=1", false},
		{"system of 15", "t@" + strings.Repeat("v", 15) + "=1", false},
		{"two at signs", "a@b@c=1", false},
		{"system empty", "a@=1", false},
		{"tenant empty", "@a=1", false},
		{"value empty", "foo=", false},
		{"value with equals sign", "foo=a=b", false},
		{"value of 256", "foo=" + strings.Repeat("a", 256), true},
		{"value of 257", "foo=" + strings.Repeat("a", 257), false},
		{"value not ASCII", "foo=é", false},
		{"no equals sign", "foo", false},
		{"too long", many(20) + strings.Repeat(",", 9000), false},
	} {
		if got := trace.ValidState(c.in); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestExtract(t *testing.T) {
	field := func(id message.ID, value string) message.Field { return message.Field{ID: id, Value: value} }
	for _, c := range []struct {
		name   string
		fields []message.Field
		ok     bool
		state  string
	}{
		{"none", nil, false, ""},
		{"parent alone", []message.Field{field(message.IDTraceparent, valid)}, true, ""},
		{"parent twice", []message.Field{field(message.IDTraceparent, valid), field(message.IDTraceparent, valid)}, false, ""},
		{"state without parent", []message.Field{field(message.IDTracestate, "a=1")}, false, ""},
		{"state in two fields", []message.Field{field(message.IDTraceparent, valid), field(message.IDTracestate, "a=1"), field(message.IDTracestate, "b=2")}, true, "a=1,b=2"},
		{"malformed state goes alone", []message.Field{field(message.IDTraceparent, valid), field(message.IDTracestate, "a")}, true, ""},
	} {
		got, ok := trace.Extract(&message.Head{Fields: c.fields})
		if ok != c.ok || got.State != c.state {
			t.Errorf("%s: %v %q, want %v %q", c.name, ok, got.State, c.ok, c.state)
		}
	}
}

func TestSampler(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7)).Uint64
	parent, _ := trace.Parse(valid)
	unsampled, _ := trace.Parse(valid[:53] + "00")
	t.Run("disabled passes on", func(t *testing.T) {
		got := trace.Sampler{PerMillion: 1e6}.Start(parent, true, random)
		if got.String() != valid || got.Recorded() {
			t.Errorf("%+v", got)
		}
		if got := (trace.Sampler{PerMillion: 1e6}).Start(trace.Context{}, false, random); got.Valid() {
			t.Errorf("a new trace: %+v", got)
		}
	})
	t.Run("parent decides", func(t *testing.T) {
		got := trace.Sampler{Enabled: true}.Start(parent, true, random)
		if !got.Recorded() || got.Trace != parent.Trace || got.Parent != parent.Span || got.Span == parent.Span {
			t.Errorf("sampled parent: %+v", got)
		}
		got = trace.Sampler{Enabled: true, PerMillion: 1e6}.Start(unsampled, true, random)
		if got.Recorded() || !got.Valid() {
			t.Errorf("unsampled parent: %+v", got)
		}
	})
	for _, ratio := range []uint32{0, 1000, 250_000, 1_000_000, 4_000_000} {
		const n = 200_000
		recorded := 0
		for range n {
			c := trace.Sampler{Enabled: true, PerMillion: ratio}.Start(trace.Context{}, false, random)
			if c.Recorded() {
				recorded++
			}
			if c.Flags&trace.Random == 0 || c.Parent != (trace.SpanID{}) {
				t.Fatalf("new trace %+v", c)
			}
		}
		want := float64(min(ratio, 1e6)) / 1e6 * n
		if d := float64(recorded) - want; d > 0.02*n/4+1 || d < -0.02*n/4-1 || ratio == 0 && recorded > 0 || ratio >= 1e6 && recorded < n {
			t.Errorf("%d per million: %d of %d", ratio, recorded, n)
		}
	}
}

func TestContextDoesNotAllocate(t *testing.T) {
	head := message.Head{Fields: []message.Field{{ID: message.IDTraceparent, Value: valid}, {ID: message.IDTracestate, Value: "a=1,b=2"}}}
	random := rand.New(rand.NewPCG(7, 7)).Uint64
	buffer := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() {
		parent, ok := trace.Extract(&head)
		c := trace.Sampler{Enabled: true}.Start(parent, ok, random)
		buffer = c.Append(buffer[:0])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(valid, "a=1,b=2")
	f.Add("cc"+valid[2:]+"-x", "a@b=1")
	f.Fuzz(func(t *testing.T, parent, state string) {
		trace.ValidState(state)
		c, ok := trace.Parse(parent)
		if !ok {
			return
		}
		again, ok := trace.Parse(c.String())
		if !ok || again != c {
			t.Errorf("%q was accepted as %q, which reads as %+v", parent, c.String(), again)
		}
		if parent[3:52] != c.String()[3:52] {
			t.Errorf("%q changed to %q", parent, c.String())
		}
	})
}
