package rules

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/conformance/proxy/rig"
)

// row is one rule.
type row struct {
	section, name string
	// to is the listener: "" speaks HTTP/1.1 with the backend, "h2" HTTP/2,
	// "connect" allows CONNECT.
	to string
	// send are the client's bytes of HTTP/1.1, send2 its request of HTTP/2.
	send  string
	send2 *message2
	// answer are the backend's bytes, answer2 its response of HTTP/2.
	answer  string
	answer2 *message2
	// What must and what must not be in the request that the backend sees and in
	// the response that the client gets: whole lines, or any text when it has a
	// line break. Field names are compared in lower case.
	sees, hides []string
	gets, lacks []string
	// unseen: nothing may reach the backend; maybe: it does not matter. cut: the client must notice that the
	// answer is not whole. closed: the connection must end after the answer.
	unseen, maybe, cut, closed bool
	// responses is how many there are (1).
	responses int
}

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

var program rig.Program

func TestMain(m *testing.M) {
	os.Exit(rig.Main(m, func(p rig.Program) { program = p }))
}

// bench is a proxy between raw clients and raw backends.
type bench struct {
	proxy  *rig.Proxy
	origin *rig.Origin
	h2     *origin2

	// late: a request of the row before may still be cut at the backend.
	late bool

	mu     sync.Mutex
	answer string
}

func newBench(t *testing.T, kind rig.Kind) *bench {
	t.Helper()
	b := &bench{}
	b.origin = rig.NewOrigin(t, func(string) string {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.answer
	})
	b.h2 = newOrigin2(t)
	b.proxy = program.Start(t, rig.Options{Kind: kind, Config: `
listeners:
- {name: main, address: "127.0.0.1:0"}
- {name: connect, address: "127.0.0.2:0", http: {allowConnect: true}}
- {name: h2, address: "127.0.0.3:0"}
routes:
- {name: main, listeners: [main, connect], rules: [{backends: [one]}]}
- {name: h2, listeners: [h2], rules: [{backends: [two]}]}
clusters:
- {name: one, endpoints: ["` + b.origin.Addr + `"]}
- {name: two, protocol: HTTP2, endpoints: ["` + b.h2.addr + `"]}
`})
	return b
}

func runRows(t *testing.T, rows []row) {
	t.Helper()
	for _, kind := range rig.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			b := newBench(t, kind)
			for _, r := range rows {
				t.Run(r.section+" "+r.name, func(t *testing.T) { b.run(t, r) })
			}
		})
	}
}

// run plays a row.
func (b *bench) run(t *testing.T, r row) {
	t.Helper()
	b.mu.Lock()
	b.answer = r.answer
	if b.answer == "" {
		b.answer = okAnswer
	}
	b.mu.Unlock()
	b.h2.use(r.answer2)
	before, before2 := len(b.origin.Seen()), len(b.h2.seen())
	listener := r.to
	if listener == "" {
		listener = "main"
	}
	addr := b.proxy.Addr(listener)
	var got string
	if r.send2 != nil {
		got = ask2(t, addr, r.send2)
	} else {
		got = ask(t, addr, r)
	}
	seen := append(b.origin.Seen()[before:], b.h2.seen()[before2:]...)
	if b.late && r.unseen {
		seen = slices.DeleteFunc(seen, func(s string) bool { return strings.HasPrefix(s, "cut: ") })
	}
	b.late = r.maybe
	switch all := strings.Join(seen, "\r\n=====\r\n"); {
	case r.unseen && len(seen) > 0:
		t.Errorf("the backend must see nothing, it saw:\n%s", all)
	case !r.unseen && !r.maybe && len(seen) == 0:
		t.Errorf("the backend saw nothing; the client got:\n%s", got)
	default:
		compare(t, "the backend", all, r.sees, r.hides)
	}
	compare(t, "the client", got, r.gets, r.lacks)
	if isCut := strings.Contains(got, cutMark); isCut != r.cut {
		t.Errorf("the answer was cut: %v, want %v:\n%s", isCut, r.cut, got)
	}
	if r.closed && !strings.Contains(got, closedMark) {
		t.Errorf("the connection must end, it stays; the client got:\n%s", got)
	}
}

const (
	cutMark    = "\r\n[cut]"
	closedMark = "\r\n[closed]"
)

// compare looks for lines and texts.
func compare(t *testing.T, who, text string, must, mustNot []string) {
	t.Helper()
	n := normal(text)
	has := func(want string) bool {
		if strings.Contains(want, "\r\n") {
			return strings.Contains(n, want)
		}
		return strings.Contains("\r\n"+n+"\r\n", "\r\n"+want+"\r\n")
	}
	for _, want := range must {
		if !has(want) {
			t.Errorf("%s must see %q, it saw:\n%s", who, want, n)
		}
	}
	for _, bad := range mustNot {
		if strings.Contains(strings.ToLower(n), strings.ToLower(bad)) {
			t.Errorf("%s must not see %q, it saw:\n%s", who, bad, n)
		}
	}
}

// normal writes field names in lower case.
func normal(text string) string {
	lines := strings.Split(text, "\r\n")
	for i, l := range lines {
		if name, value, ok := strings.Cut(l, ":"); ok && name != "" && !strings.ContainsAny(name, " /") {
			lines[i] = strings.ToLower(name) + ":" + value
		}
	}
	return strings.Join(lines, "\r\n")
}

// ask sends a row's bytes and returns the bytes that come back.
func ask(t *testing.T, addr string, r row) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(c, r.send); err != nil {
		t.Fatal(err)
	}
	var raw bytes.Buffer
	in := bufio.NewReader(io.TeeReader(c, &raw))
	method, _, _ := strings.Cut(strings.TrimLeft(r.send, "\r\n"), " ")
	for range max(r.responses, 1) {
		if err := readResponse(in, method); err != nil {
			return raw.String() + cutMark + " " + err.Error()
		}
	}
	// What nobody asked for would be here soon; the end of the connection, too.
	wait := 20 * time.Millisecond
	if r.closed {
		wait = 3 * time.Second
	}
	_ = c.SetReadDeadline(time.Now().Add(wait))
	if _, err := io.Copy(io.Discard, in); err == nil {
		return raw.String() + closedMark
	}
	return raw.String()
}

// readResponse reads one final response, whose bytes the reader keeps.
func readResponse(in *bufio.Reader, method string) error {
	for {
		resp, err := http.ReadResponse(in, &http.Request{Method: method}) //nolint:bodyclose // it ends with the connection
		if err != nil {
			return err
		}
		if resp.StatusCode < 200 && resp.StatusCode != 101 {
			continue
		}
		if resp.StatusCode == 101 || method == "CONNECT" && resp.StatusCode/100 == 2 {
			return nil
		}
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
}

// request makes the bytes of a request from its first line and its fields.
func request(line string, fields ...string) string {
	return line + " HTTP/1.1\r\nHost: example.com\r\n" + lines(fields) + "\r\n"
}

// response makes the bytes of an answer, with a body of which the length is told.
func response(status, body string, fields ...string) string {
	return fmt.Sprintf("HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s", status, lines(fields), len(body), body)
}

func lines(fields []string) string {
	var b strings.Builder
	for _, f := range fields {
		b.WriteString(f + "\r\n")
	}
	return b.String()
}
