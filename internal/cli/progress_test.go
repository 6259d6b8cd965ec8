package cli

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// screen shows a stream of bytes as a terminal would: \r returns to the start
// of the line, and \x1b[K clears what follows.
func screen(stream string) []string {
	rows := []string{""}
	var line []rune
	col := 0
	runes := []rune(stream)
	for i := 0; i < len(runes); i++ {
		switch {
		case runes[i] == '\r':
			col = 0
		case runes[i] == '\n':
			rows = append(rows, "")
			line, col = nil, 0
		case strings.HasPrefix(string(runes[i:min(i+3, len(runes))]), "\x1b[K"):
			line = line[:col]
			i += 2
		default:
			line = append(line[:col], runes[i])
			col++
		}
		rows[len(rows)-1] = string(line)
	}
	return rows
}

func TestProgressWithoutTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := newProgress(Console{Writer: &out}, time.Now)
		p.Note("before any step")
		p.Step("first")
		time.Sleep(1234 * time.Millisecond)
		p.Detail("not shown")
		p.Step("second")
		p.Note("in a step")
		time.Sleep(75 * time.Second)
		p.Done()
		p.Done()
		p.Step("third")
		if step := p.fail(); step != "third" {
			t.Errorf("failed step %q", step)
		}
		if step := p.fail(); step != "" {
			t.Errorf("failed step %q when there was none", step)
		}
		p.Step("fourth")
		p.drop()
		want := "note: before any step\n√ first  1.2s\nnote: in a step\n√ second  1m15s\n× third  0.0s\n"
		if got := out.String(); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
}

func TestProgressOnTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := newProgress(Console{Writer: &out, Width: 40}, time.Now)
		look := func() []string {
			synctest.Wait()
			p.mu.Lock()
			defer p.mu.Unlock()
			return screen(out.String())
		}
		p.Step("start the control plane")
		time.Sleep(3*time.Second + 20*time.Millisecond)
		if got := look(); len(got) != 1 || !strings.HasSuffix(got[0], " start the control plane  3s") {
			t.Errorf("live line %q", got)
		}
		p.Detail("a long\nword about\twhat it is waiting for")
		time.Sleep(time.Second)
		got := look()
		if len(got) != 1 || len([]rune(got[0])) > 39 || !strings.HasSuffix(got[0], "  a long …") {
			t.Errorf("live line %q is not cut to the terminal", got)
		}
		spinner := got[0][:3]
		time.Sleep(frameInterval)
		if next := look()[0][:3]; next == spinner {
			t.Errorf("the spinner stands still at %s", next)
		}
		p.Note("by the way")
		p.Step("start the node")
		p.Done()
		want := []string{"note: by the way", "√ start the control plane  4.1s", "√ start the node  0.0s", ""}
		if got := screen(out.String()); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("screen %q, want %q", got, want)
		}
		// Nothing draws after the end: synctest fails on goroutines that stay.
		size := out.Len()
		time.Sleep(time.Minute)
		if out.Len() != size {
			t.Error("it draws after the end")
		}
	})
}

func TestProgressColour(t *testing.T) {
	codes := regexp.MustCompile(`\x1b\[[0-9;]*m`)
	for _, color := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			p := newProgress(Console{Writer: &out, Width: 80, Color: color}, time.Now)
			p.Step("step")
			p.Note("note")
			p.fail()
			if got := codes.MatchString(out.String()); got != color {
				t.Errorf("colour asked for %v, used %v: %q", color, got, out.String())
			}
		})
	}
}

func TestCut(t *testing.T) {
	for _, tt := range []struct {
		text string
		room int
		want string
	}{
		{"short", 5, "short"},
		{"longer", 5, "long…"},
		{"größer", 5, "größ…"},
		{"x", 0, ""},
		{"x", -3, ""},
		{"", 0, ""},
		{"xy", 1, "…"},
	} {
		if got := cut(tt.text, tt.room); got != tt.want {
			t.Errorf("%q in %d: %q, want %q", tt.text, tt.room, got, tt.want)
		}
	}
}
