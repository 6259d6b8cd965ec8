package smuggling

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tatami-platform/tatami/conformance/proxy/rig"
	table "github.com/tatami-platform/tatami/internal/proxy/http1/smuggling"
)

func cases(t *testing.T) []table.Case {
	t.Helper()
	all, err := table.Cases()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 100 {
		t.Fatalf("there are %d cases, at least 100 are asked for", len(all))
	}
	return all
}

// TestTable sends every case through the proxy to every origin.
func TestTable(t *testing.T) {
	rig.Both(t, func(t *testing.T, kind rig.Kind) {
		t.Helper()
		s := newSite(t, kind)
		all := cases(t)
		var wg sync.WaitGroup
		for _, c := range s.chains {
			wg.Go(func() {
				for _, tt := range all {
					if testing.Short() && c.name != "raw" && c.name != "go" && !tt.Accepted() {
						continue
					}
					s.play(t, c, &tt)
				}
			})
		}
		wg.Wait()
		t.Logf("%d cases, %d origins", len(all), len(s.chains))
	})
}

// play sends one case on one chain and holds what the origin sees against the
// table.
func (s *site) play(t *testing.T, c *chain, tt *table.Case) {
	t.Helper()
	got := statuses(send(t, c.addr, tt.Raw, 0))
	saw := s.saw(t, c)
	first := ""
	if len(got) > 0 {
		first = got[0]
	}
	want, status := expected(tt)
	if e, ok := exceptions()[c.name+" "+tt.Name]; ok {
		want, status = e.sees, e.status
	}
	if first != status {
		t.Errorf("%s, origin %s: status %s, want %s (%s)", tt.Name, c.name, first, status, tt.Why)
	}
	if !slices.Equal(saw, want) {
		t.Errorf("%s, origin %s saw %q, want %q (%s); answers %v", tt.Name, c.name, saw, want, tt.Why, got)
	}
}

// expected is what the table says, for the whole proxy and not for its HTTP/1.1
// reader alone.
func expected(tt *table.Case) (sees []string, status string) {
	status = tt.Want
	if tt.Accepted() {
		status = "200"
	}
	if strings.HasPrefix(tt.Raw, "PRI * HTTP/2.0\r\n\r\n") {
		status = "" // it is HTTP/2 that is spoken then
	}
	for _, line := range tt.Sees {
		sees = append(sees, normal(line))
	}
	return sees, status
}

// normal writes percent-encodings as the proxy does: in upper case.
func normal(line string) string {
	return percent.ReplaceAllStringFunc(line, strings.ToUpper)
}

var percent = regexp.MustCompile(`%[0-9a-f]{2}`)

// exception is what becomes of a request that the proxy passes on as it should,
// and that an origin does not take as it is.
type exception struct {
	status string
	sees   []string
}

// exceptions by origin and case. An entry that is not needed any more fails.
func exceptions() map[string]exception {
	return map[string]exception{
		"nginx method-lower":            {"400", nil}, // methods in upper case only
		"nginx target-asterisk":         {"400", nil}, // no asterisk form
		"nginx target-absolute-options": {"400", nil},
		"nginx host-none-10":            {"400", nil}, // an empty Host is none
		"nghttpx method-lower":          {"501", nil}, // known methods only
		"nghttpx method-custom":         {"501", nil},
		"nghttpx target-double-slash":   {"200", []string{"GET a.example /b.example/"}}, // empty segments are taken out
		"nghttpx host-none-10":          {"200", []string{"GET RECORDER /"}},            // its backend's address
		"haproxy upgrade-refused":       {"400", []string{"GET a.example /smuggled"}},   // a WebSocket needs a key
	}
}

// saw is what the origin of a chain has seen since the last time.
func (s *site) saw(t *testing.T, c *chain) []string {
	t.Helper()
	if c.recorder != nil {
		seen := c.recorder.take()
		for i, line := range seen {
			seen[i] = strings.ReplaceAll(line, c.recorder.addr, "RECORDER")
		}
		return seen
	}
	var out []string
	for _, text := range s.raw.Seen()[s.seen:] {
		s.seen++
		if strings.HasPrefix(text, "cut: ") {
			continue
		}
		out = append(out, canonical(t, text))
	}
	return out
}

// canonical reads a request that the proxy sent, and fails the test if two readers
// could read it in two ways.
func canonical(t *testing.T, text string) string {
	t.Helper()
	r := bufio.NewReader(strings.NewReader(text))
	req, err := http.ReadRequest(r)
	if err != nil {
		return "unreadable: " + text
	}
	body, err := io.ReadAll(req.Body)
	if err != nil || r.Buffered() > 0 {
		t.Errorf("more or less than a request: %q", text)
	}
	head, _, _ := strings.Cut(text, "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	count := map[string]int{}
	for i, line := range lines {
		if strings.ContainsAny(line, "\r\n\x00") {
			t.Errorf("a control character in %q", line)
		}
		if i == 0 {
			if n := strings.Count(line, " "); n != 2 || !strings.HasSuffix(line, " HTTP/1.1") {
				t.Errorf("request line %q", line)
			}
			continue
		}
		name, value, ok := strings.Cut(line, ": ")
		if !ok || name == "" || strings.ContainsAny(name, " \t:") || value != strings.TrimSpace(value) {
			t.Errorf("field %q", line)
		}
		count[strings.ToLower(name)]++
	}
	if count["host"] != 1 || count["content-length"]+count["transfer-encoding"] > 1 {
		t.Errorf("fields %v in %q", count, head)
	}
	if te := req.TransferEncoding; len(te) > 1 || len(te) == 1 && te[0] != "chunked" {
		t.Errorf("transfer codings %q", te)
	}
	return describe(req, bytes.Clone(body))
}
