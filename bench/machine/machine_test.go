package machine

import (
	"strings"
	"testing"
)

func TestField(t *testing.T) {
	const text = "processor\t: 0\nmodel name\t: Some CPU @ 3: GHz\nmodel name\t: other\n"
	if got := field(strings.NewReader(text), "model name"); got != "Some CPU @ 3: GHz" {
		t.Errorf("model name = %q", got)
	}
	if got := field(strings.NewReader(text), "flags"); got != "" {
		t.Errorf("a missing field gave %q", got)
	}
}

func TestKibibytes(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       int64
	}{
		{"as in meminfo", "16384 kB", 16 << 20},
		{"empty", "", 0},
		{"not a number", "much kB", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := kibibytes(tt.text); got != tt.want {
				t.Errorf("kibibytes(%q) = %d, want %d", tt.text, got, tt.want)
			}
		})
	}
}

func TestHereIsFilledIn(t *testing.T) {
	m := Here()
	if m.Cores < 1 || m.OS == "" || m.Arch == "" || m.Go == "" {
		t.Errorf("Here = %+v", m)
	}
	if m.OS == "linux" && (m.MemoryBytes == 0 || m.Kernel == "") {
		t.Errorf("on Linux memory and kernel are known, got %+v", m)
	}
}
