package node

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestContainerdVersion(t *testing.T) {
	for _, tt := range []struct {
		output string // what real ones print
		want   string
		old    bool
	}{
		{"containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3", "1.6.20", false},
		{"containerd github.com/containerd/containerd 1.7.24~ds1 1.7.24~ds1-6+b4", "1.7.24", false},
		{"containerd github.com/containerd/containerd 1.7.12 ", "1.7.12", false},
		{"containerd containerd.io 1.7.27 05044ec0a9a75232cad458027ca83437aae3f4da", "1.7.27", false},
		{"containerd github.com/containerd/containerd/v2 v2.1.3 c787fb98911740dd3ff2d0e45ce88cdf01410486", "v2.1.3", false},
		{"containerd github.com/containerd/containerd/v2 v2.0.0-rc.3 27de5fea738a38345aa1ac7569032261a6b1e562", "v2.0.0", false},
		{"containerd github.com/k3s-io/containerd v1.7.11-k3s2 64b8a811b07ba6288238eefc14d898ee0b5b99ba", "v1.7.11", false},
		{"containerd github.com/containerd/containerd 1.4.13~ds1 1.4.13~ds1-1~deb11u4", "1.4.13", true},
		{"containerd github.com/containerd/containerd v1.5.18 1e5ef943eb76627a6d3b6de8cd1ef6537f393a71", "v1.5.18", true},
		{"containerd github.com/containerd/containerd 0.2.9", "0.2.9", true},
	} {
		program := filepath.Join(t.TempDir(), "containerd")
		script := "#!/bin/sh\n[ \"$*\" = --version ] && echo '" + tt.output + "'\n"
		if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		got, err := containerdVersion(t.Context(), program)
		if err != nil || got != tt.want {
			t.Errorf("%q: %q (%v), want %q", tt.output, got, err, tt.want)
		}
		if old := olderThan(got, oldestContainerd); old != tt.old {
			t.Errorf("%s is too old: %t, want %t", got, old, tt.old)
		}
	}
}

func TestContainerdVersionThatMakesNoSense(t *testing.T) {
	dir := t.TempDir()
	for name, script := range map[string]string{"silent": "#!/bin/sh\n", "fails": "#!/bin/sh\nexit 3\n", "words": "#!/bin/sh\necho containerd v2\n"} {
		program := filepath.Join(dir, name)
		if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		if got, err := containerdVersion(t.Context(), program); err == nil || !strings.Contains(err.Error(), program) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestOlderThan(t *testing.T) {
	for _, tt := range []struct {
		version, oldest string
		want            bool
	}{
		{"1.6.0", "1.6", false},
		{"1.5.99", "1.6", true},
		{"1.10.0", "1.6", false},
		{"2.0.0", "1.6", false},
		{"v2.0.0", "2.1", true},
		{"1.6.20", "2.0", true},
		{"nonsense", "1.6", true},
	} {
		if got := olderThan(tt.version, tt.oldest); got != tt.want {
			t.Errorf("%s older than %s: %t", tt.version, tt.oldest, got)
		}
	}
}

// FuzzOlderThan compares with numbers instead of text.
func FuzzOlderThan(f *testing.F) {
	f.Add(uint8(1), uint8(6), uint8(1), uint8(10))
	f.Add(uint8(2), uint8(0), uint8(1), uint8(9))
	f.Fuzz(func(t *testing.T, major, minor, wantMajor, wantMinor uint8) {
		want := int(major)<<8+int(minor) < int(wantMajor)<<8+int(wantMinor)
		got := olderThan(fmt.Sprintf("v%d.%d.0", major, minor), fmt.Sprintf("%d.%d", wantMajor, wantMinor))
		if got != want {
			t.Errorf("%d.%d older than %d.%d: %t", major, minor, wantMajor, wantMinor, got)
		}
	})
}

func TestLookPath(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "tatami-test-program")
	if err := os.WriteFile(program, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	if got, err := lookPath("tatami-test-program"); err != nil || got != program {
		t.Errorf("on PATH: %q (%v)", got, err)
	}
	if got, err := lookPath("tatami-test-none"); err == nil {
		t.Errorf("found %q", got)
	}
	t.Setenv("PATH", "")
	if got, err := lookPath("true"); err != nil || !filepath.IsAbs(got) {
		t.Errorf("with an empty PATH: %q (%v)", got, err)
	}
}
