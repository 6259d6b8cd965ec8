package server

import (
	"bufio"
	"os"
	"strings"
	"testing"
)

func TestDroppable(t *testing.T) {
	const program = "/usr/bin/tatami"
	for _, tt := range []struct {
		name   string
		line   string
		start  uintptr
		length uintptr
		ok     bool
	}{
		{"code", "00400000-02400000 r-xp 00000000 08:01 1234                              /usr/bin/tatami", 0x400000, 0x2000000, true},
		{"constants", "7f0000000000-7f0000001000 r--p 02000000 08:01 1234 /usr/bin/tatami", 0x7f0000000000, 0x1000, true},
		{"variables", "04400000-04500000 rw-p 04000000 08:01 1234 /usr/bin/tatami", 0, 0, false},
		{"written and shared", "04400000-04500000 rw-s 04000000 08:01 1234 /usr/bin/tatami", 0, 0, false},
		{"another file", "00400000-02400000 r-xp 00000000 08:01 1234 /usr/bin/tatami-pause", 0, 0, false},
		{"a longer path", "00400000-02400000 r-xp 00000000 08:01 1234 /x/usr/bin/tatami", 0, 0, false},
		{"heap", "c000000000-c004000000 rw-p 00000000 00:00 0", 0, 0, false},
		{"no file, not writable", "c000000000-c004000000 ---p 00000000 00:00 0", 0, 0, false},
		{"kernel", "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]", 0, 0, false},
		{"backwards", "02400000-00400000 r-xp 00000000 08:01 1234 /usr/bin/tatami", 0, 0, false},
		{"empty range", "00400000-00400000 r-xp 00000000 08:01 1234 /usr/bin/tatami", 0, 0, false},
		{"no addresses", "x-y r-xp 00000000 08:01 1234 /usr/bin/tatami", 0, 0, false},
		{"short rights", "00400000-02400000 r 00000000 08:01 1234 /usr/bin/tatami", 0, 0, false},
		{"empty", "", 0, 0, false},
	} {
		start, length, ok := droppable(tt.line, program)
		if start != tt.start || length != tt.length || ok != tt.ok {
			t.Errorf("%s: %#x %#x %t, want %#x %#x %t", tt.name, start, length, ok, tt.start, tt.length, tt.ok)
		}
	}
}

// FuzzDroppable: nothing that is writable is ever dropped; that would lose data.
func FuzzDroppable(f *testing.F) {
	f.Add("00400000-02400000 r-xp 00000000 08:01 1234 /p", "/p")
	f.Add("00400000-02400000 rw-p 00000000 08:01 1234 /p", "/p")
	f.Fuzz(func(t *testing.T, line, program string) {
		_, length, ok := droppable(line, program)
		if !ok {
			return
		}
		fields := strings.Fields(line)
		if length == 0 || fields[1][1] == 'w' || fields[5] != program {
			t.Errorf("%q of %q would be dropped", line, program)
		}
	})
}

// TestDropProgramPages drops those of the test itself, which must live on.
func TestDropProgramPages(t *testing.T) {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Skip("no /proc:", err)
	}
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	found := 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if _, _, ok := droppable(lines.Text(), program); ok {
			found++
		}
	}
	if found == 0 {
		t.Error("nothing of the program can be dropped")
	}
	dropProgramPages()
}
