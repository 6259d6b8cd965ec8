package smuggling

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/conformance/proxy/chaos/lab"
	"github.com/tatami-platform/tatami/conformance/proxy/rig"
)

// seed of all that is random here.
const seed = 20_261_127

// generator writes what clients send: requests that are right, of many forms, and
// such with a fault.
type generator struct{ *rand.Rand }

func newGenerator(stream uint64) generator {
	return generator{rand.New(rand.NewPCG(seed, stream))}
}

func (g generator) of(list ...string) string { return list[g.IntN(len(list))] }

// request is one that is right, with what origins see of it.
func (g generator) request(n int) (raw, sees string) {
	method := g.of("GET", "POST", "PUT", "DELETE", "PATCH")
	target := fmt.Sprintf("/r%d%s", n, g.of("", "/", "/a/b", "?q=1&q=2", "/%20x?y=%2F", "/;p=1", "/a,b:c@d"))
	host := g.of("a.example", "b.example", "c.example:8080")
	fields := []string{"Host: " + host}
	for range g.IntN(4) {
		fields = append(fields, g.of("Accept: */*", "X-Empty:", "X-Long: "+strings.Repeat("v", 200), "x-lower: a;b=\"c\"",
			"Cookie: a=b; c=d", "Connection: keep-alive", "X-Tab: a\tb", "Accept-Encoding: gzip, br", "Referer: http://x.example/GET / HTTP/1.1"))
	}
	body := ""
	if method != "GET" && method != "DELETE" {
		// Bodies that look like requests.
		body = g.of("", "abc", "GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n", "0\r\n\r\n", "\r\n\r\n", strings.Repeat("z", 3000))
	}
	sees = method + " " + host + " " + target
	if body != "" {
		sees += fmt.Sprintf(" %q", body)
	}
	content := body
	switch {
	case method == "GET" || method == "DELETE":
	case g.IntN(2) == 0:
		fields = append(fields, fmt.Sprintf("%s: %d", g.of("Content-Length", "content-length"), len(body)))
	default:
		fields = append(fields, g.of("Transfer-Encoding: chunked", "transfer-encoding:  Chunked"))
		content = g.chunked(body)
	}
	g.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	return method + " " + target + " HTTP/1.1\r\n" + strings.Join(fields, "\r\n") + "\r\n\r\n" + content, sees
}

func (g generator) chunked(body string) string {
	var b strings.Builder
	for len(body) > 0 {
		n := 1 + g.IntN(len(body))
		fmt.Fprintf(&b, g.of("%x%s\r\n", "%X%s\r\n", "00%x%s\r\n"), n, g.of("", "", ";ext", ";a=\"b\""))
		b.WriteString(body[:n] + "\r\n")
		body = body[n:]
	}
	return b.String() + "0\r\n" + g.of("", "", "X-Trailer: t\r\n") + "\r\n"
}

// mutate puts a fault somewhere, often into the head.
func (g generator) mutate(raw string) string {
	head := strings.Index(raw, "\r\n\r\n") + 4
	at := g.IntN(head)
	if g.IntN(4) == 0 {
		at = g.IntN(len(raw))
	}
	switch g.IntN(6) {
	case 0:
		return raw[:at] + raw[at+1:]
	case 1:
		return raw[:at] + g.of("\n", "\r", "\x00", " ", "\t", ":", "\x0b", "\x7f", "\xa0", ",", ";") + raw[at:]
	case 2:
		line := strings.Index(raw, "\r\n") + 2
		return raw[:line] + g.of("Content-Length: 3", "Transfer-Encoding: chunked", "Transfer-Encoding: x", "Content-Length: 03",
			"Content-Length: +3", "Host: evil.example", "Transfer-Encoding : chunked", " folded", "Content-Length: 3, 3") + "\r\n" + raw[line:]
	case 3:
		return strings.Replace(raw, "\r\n", g.of("\n", "\r", "\r\r\n", "\n\r\n"), 1)
	case 4:
		return strings.Replace(raw, "HTTP/1.1", g.of("HTTP/1.0", "HTTP/1.2", "HTTP/0.9", "http/1.1", "HTTP/1.1 x"), 1)
	default:
		return raw[:at] + string(rune(g.IntN(256))) + raw[at+1:]
	}
}

// conversation is some requests on one connection. Faulty says that one of them
// has a fault: then nobody says here what must be seen, but all origins must see
// the same.
func (g generator) conversation(n int) (raw string, sees []string, faulty bool) {
	for i := range 1 + g.IntN(3) {
		r, saw := g.request(10*n + i)
		if !faulty && g.IntN(3) == 0 {
			faulty = true
			r = g.mutate(r)
		}
		raw += r
		sees = append(sees, normal(saw))
	}
	return raw, sees, faulty
}

// rounds of random conversations.
func rounds() int {
	if testing.Short() {
		return 60
	}
	return 400
}

// TestOriginsAgree sends the same random bytes to all origins: what the proxy
// makes of them is seen in the same way by all, and what is right is seen as it
// was meant.
func TestOriginsAgree(t *testing.T) {
	rig.Both(t, func(t *testing.T, kind rig.Kind) {
		t.Helper()
		t.Logf("seed %d", seed)
		s := newSite(t, kind)
		g := newGenerator(1)
		refused := 0
		for n := range rounds() {
			raw, sees, faulty := g.conversation(n)
			saw := make([][]string, len(s.chains))
			codes := make([][]string, len(s.chains))
			var wg sync.WaitGroup
			for i, c := range s.chains {
				wg.Go(func() {
					codes[i] = statuses(send(t, c.addr, raw, 0))
					saw[i] = s.saw(t, c)
				})
			}
			wg.Wait()
			if !faulty && !slices.Equal(saw[0], sees) {
				t.Errorf("%.300q was seen as %q, want %q", raw, saw[0], sees)
			}
			if last := codes[0]; len(last) == 0 || last[len(last)-1] != "200" {
				refused++
			}
			for i, c := range s.chains[1:] {
				all := saw[0]
				if c.name == "nghttpx" {
					all = withoutEmpty(all)
				}
				if !slices.Equal(saw[i+1], all) && !pickier(saw[i+1], all, codes[i+1]) {
					t.Errorf("%q: raw saw %q (%v), %s saw %q (%v)", raw, saw[0], codes[0], c.name, saw[i+1], codes[i+1])
				}
			}
		}
		t.Logf("%d conversations, %d of them refused in part", rounds(), refused)
	})
}

// withoutEmpty takes out empty segments of paths, as nghttpx does.
func withoutEmpty(lines []string) []string {
	out := slices.Clone(lines)
	for i, line := range out {
		method, rest, _ := strings.Cut(line, " ")
		host, target, _ := strings.Cut(rest, " ")
		path, query, found := strings.Cut(target, "?")
		path = strings.ReplaceAll(path, "//", "/")
		if found {
			path += "?" + query
		}
		out[i] = method + " " + host + " " + path
	}
	return out
}

// converse is send for programs that take a closed direction for a client that
// has left: a last request asks them to close. Who waits for more, because of a
// fault, gets a little time.
func converse(t *testing.T, addr, raw string) string {
	t.Helper()
	c, err := lab.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetWriteDeadline(time.Now().Add(lab.Patience))
	_, _ = io.WriteString(c, raw+"GET /end HTTP/1.1\r\nHost: end.example\r\nConnection: close\r\n\r\n")
	var answer []byte
	buf := make([]byte, 4096)
	for {
		_ = c.SetReadDeadline(time.Now().Add(250 * time.Millisecond))
		n, err := c.Read(buf)
		answer = append(answer, buf[:n]...)
		if err != nil {
			return string(answer)
		}
	}
}

// pickier says that an origin has seen the same but for requests that it refused,
// as its answers show; who refuses may close, and sees nothing more then.
func pickier(saw, all, codes []string) bool {
	closed := len(codes) > 0 && codes[len(codes)-1] != "200"
	for i, line := range all {
		switch {
		case len(saw) > 0 && saw[0] == line:
			saw = saw[1:]
		case i < len(codes) && codes[i] != "200":
		case len(saw) == 0 && closed:
		default:
			return false
		}
	}
	return len(saw) == 0
}

// TestFronts puts each peer in front of the proxy: whatever it passes on of random
// bytes and of the table is seen at the end as it is without the proxy.
func TestFronts(t *testing.T) {
	for _, name := range peers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			direct := &chain{name: "direct", recorder: newRecorder(t)}
			direct.addr = startPeer(t, name, direct.recorder.addr)
			through := &chain{name: "through", recorder: newRecorder(t)}
			p := program.Start(t, rig.Options{Args: []string{"--listen", "127.0.0.1:0", "--backend", through.recorder.addr}})
			through.addr = startPeer(t, name, p.Addr("main"))
			same, stricter, looser := 0, 0, 0
			play := func(raw string) {
				t.Helper()
				var saw, codes [2][]string
				for i, c := range []*chain{direct, through} {
					codes[i] = statuses(converse(t, c.addr, raw))
					for _, line := range c.recorder.take() {
						saw[i] = append(saw[i], normal(strings.NewReplacer(c.recorder.addr, "-", p.Addr("main"), "-").Replace(line)))
					}
				}
				switch {
				case slices.Equal(saw[0], saw[1]):
					same++
				case pickier(saw[0], saw[1], codes[0]):
					looser++
				case pickier(saw[1], saw[0], codes[1]):
					stricter++
					t.Logf("stricter: %.200q: %q (%v), not %q", raw, saw[1], codes[1], saw[0])
				default:
					t.Errorf("%q: through the proxy %q (%v), without %q (%v)", raw, saw[1], codes[1], saw[0], codes[0])
				}
			}
			for _, c := range cases(t) {
				if !strings.HasPrefix(c.Raw, "PRI * ") {
					play(c.Raw)
				}
			}
			g := newGenerator(2)
			for n := range rounds() / 2 {
				raw, _, _ := g.conversation(n)
				play(raw)
			}
			t.Logf("%d are seen as without the proxy; of %d it refuses something, of %d Go's server does, which then closes", same, stricter, looser)
		})
	}
}
