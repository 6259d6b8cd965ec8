package http1_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/http1/smuggling"
)

func TestSmuggling(t *testing.T) {
	cases, err := smuggling.Cases()
	if err != nil {
		t.Fatal(err)
	}
	if len(cases) < 100 {
		t.Fatalf("%d cases", len(cases))
	}
	for name, kind := range kinds() {
		t.Run(name, func(t *testing.T) {
			l := startLoop(t, kind)
			for _, c := range cases {
				t.Run(c.Name, func(t *testing.T) {
					whole := play(t, l, c, len(c.Raw))
					single := play(t, l, c, 1)
					if len(c.Raw) < 400 && whole != single {
						t.Errorf("in one piece %q, in single bytes %q", whole, single)
					}
				})
			}
		})
	}
}

// play sends the case in pieces and checks answer and what the handler saw.
func play(t *testing.T, l *evloop.Loop, c smuggling.Case, piece int) string {
	t.Helper()
	s := &site{answer: ok}
	cl := dial(t, serve(t, l, s.accept(l)))
	if piece == 1 && len(c.Raw) >= 400 {
		piece = 97
	}
	for part := range slices.Chunk([]byte(c.Raw), piece) {
		if _, err := cl.Write(part); err != nil {
			break // refused already
		}
	}
	_ = cl.CloseWrite()
	got := cl.rest()
	want := c.Want
	if c.Accepted() {
		want = "200"
	}
	if !strings.HasPrefix(got, "HTTP/1.1 "+want+" ") {
		t.Fatalf("answer %q, want %s", got, want)
	}
	var saw []string
	for _, line := range s.all() {
		if first := strings.Fields(line)[0]; !slices.Contains([]string{"head", "reset", "refused", "closed"}, first) {
			saw = append(saw, line)
		}
	}
	if !slices.Equal(saw, c.Sees) {
		t.Fatalf("the handler saw %q, want %q", saw, c.Sees)
	}
	return got
}
