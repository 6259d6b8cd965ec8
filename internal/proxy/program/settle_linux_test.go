package program

import "testing"

func TestOwnPages(t *testing.T) {
	const self = "/usr/bin/tatami-proxy"
	for _, c := range []struct {
		name, line string
		size       uintptr
	}{
		{"text", "00400000-00d3e000 r-xp 00000000 fe:00 12 /usr/bin/tatami-proxy", 0x93e000},
		{"constants", "00d3e000-01a00000 r--p 0093e000 fe:00 12 /usr/bin/tatami-proxy", 0xcc2000},
		{"variables, which were written to", "01a00000-01a80000 rw-p 01600000 fe:00 12 /usr/bin/tatami-proxy", 0},
		{"heap", "c000000000-c000800000 rw-p 00000000 00:00 0 ", 0},
		{"a library", "7f0000000000-7f0000001000 r-xp 00000000 fe:00 13 /usr/lib/other.so", 0},
		{"garbage", "x-y r-xp 0 0 0 /usr/bin/tatami-proxy", 0},
		{"nothing", "", 0},
	} {
		begin, end, ok := ownPages(c.line, self)
		if ok != (c.size > 0) || ok && end-begin != c.size {
			t.Errorf("%s: %x to %x, %v", c.name, begin, end, ok)
		}
	}
	giveBack() // and the program still runs
}
