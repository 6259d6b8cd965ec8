package smuggling

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/conformance/proxy/chaos/lab"
	"github.com/tatami-platform/tatami/conformance/proxy/rig"
)

// peers are the programs of others that stand behind or before ours.
var peers = []string{"haproxy", "nginx", "nghttpx"}

// recorder is an origin that remembers each request that it got whole.
type recorder struct {
	addr string

	mu   sync.Mutex
	seen []string
	busy int
}

// newRecorder is Go's own server.
func newRecorder(t *testing.T) *recorder {
	t.Helper()
	r := &recorder{}
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = ln.Addr().String()
	// OPTIONS * is for the handler, too.
	s := &http.Server{Handler: r, DisableGeneralOptionsHandler: true, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(ln)
	}()
	t.Cleanup(func() {
		_ = s.Close()
		<-done
	})
	return r
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.count(1)
	defer r.count(-1)
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // not whole
	}
	r.note(describe(req, body))
	_, _ = io.WriteString(w, "ok")
}

// describe writes a request as the table does.
func describe(req *http.Request, body []byte) string {
	host := req.Host
	if host == "" {
		host = "-"
	}
	line := req.Method + " " + host + " " + req.RequestURI
	if len(body) > 0 {
		line += fmt.Sprintf(" %q", body)
	}
	return line
}

func (r *recorder) count(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy += n
}

func (r *recorder) note(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, line)
}

// take returns what was seen since the last time, once nothing is under way.
func (r *recorder) take() []string {
	for range 100 {
		// What was forwarded by now arrives within this time on loopback.
		time.Sleep(3 * time.Millisecond)
		r.mu.Lock()
		if r.busy == 0 {
			seen := r.seen
			r.seen = nil
			r.mu.Unlock()
			return seen
		}
		r.mu.Unlock()
	}
	return []string{"a request that never ends"}
}

// process runs a program of somebody else until the test ends.
func process(t *testing.T, dir, socket string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(args[0])
	if err != nil {
		path = "/usr/sbin/" + args[0]
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("%s is not installed; run make test, which installs it where it may", args[0])
	}
	log, err := os.Create(filepath.Join(dir, args[0]+".log"))
	if err != nil {
		t.Fatal(err)
	}
	// Not the test's context: it would kill, before clean-up ends it well.
	cmd := exec.CommandContext(context.Background(), path, args[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		done := make(chan struct{})
		go func() {
			_ = cmd.Wait()
			close(done)
		}()
		select {
		case <-done:
		case <-time.After(3 * time.Second):
			_ = cmd.Process.Kill()
			<-done
		}
		_ = log.Close()
	})
	lab.Until(t, args[0]+" listens", func() bool {
		c, err := net.Dial("unix", socket)
		if err == nil {
			_ = c.Close()
			return true
		}
		if cmd.ProcessState != nil {
			text, _ := os.ReadFile(log.Name())
			t.Fatalf("%s ended: %s", args[0], text)
		}
		return false
	})
}

// startPeer starts one of the peers as a reverse proxy of addr (host:port) and
// returns the Unix socket at which it listens.
func startPeer(t *testing.T, name, addr string) string {
	t.Helper()
	dir := lab.ShortDir(t)
	socket := filepath.Join(dir, "s")
	write := func(file, text string) string {
		path := filepath.Join(dir, file)
		text = strings.NewReplacer("SOCKET", socket, "ADDR", addr, "DIR", dir).Replace(text)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	switch name {
	case "haproxy":
		process(t, dir, socket, "haproxy", "-db", "-f", write("haproxy.cfg", haproxyConfig))
	case "nginx":
		process(t, dir, socket, "nginx", "-p", dir, "-e", "stderr", "-c", write("nginx.conf", nginxConfig))
	case "nghttpx":
		host, port, _ := strings.Cut(addr, ":")
		process(t, dir, socket, "nghttpx", "--conf=/dev/null", "--workers=1", "--single-process", "--no-ocsp", "--log-level=ERROR",
			"--frontend=unix:"+socket+";no-tls", "--backend="+host+","+port, "--frontend-read-timeout=5s",
			"--errorlog-file=/dev/null", "--accesslog-file=/dev/null")
	}
	return socket
}

const haproxyConfig = `
global
	nbthread 1
defaults
	mode http
	timeout connect 2s
	timeout client 5s
	timeout server 5s
frontend f
	bind SOCKET
	default_backend b
backend b
	http-reuse always
	server s ADDR
`

const nginxConfig = `
daemon off;
master_process off;
pid DIR/pid;
error_log stderr crit;
events { worker_connections 256; }
http {
	access_log off;
	client_body_temp_path DIR/body;
	proxy_temp_path DIR/proxy;
	fastcgi_temp_path DIR/fastcgi;
	uwsgi_temp_path DIR/uwsgi;
	scgi_temp_path DIR/scgi;
	upstream origin { server ADDR; keepalive 8; }
	server {
		listen unix:SOCKET;
		location / {
			proxy_pass http://origin;
			proxy_http_version 1.1;
			proxy_set_header Host $http_host;
			proxy_set_header Connection "";
			proxy_pass_request_headers on;
		}
	}
}
`

// chain is one way from a client to a recorder.
type chain struct {
	name string
	// addr is where clients connect: host:port or a Unix socket.
	addr     string
	recorder *recorder
}

// site is a proxy with a listener of its own for each origin.
type site struct {
	chains []*chain
	// raw keeps every byte of what it gets.
	raw   *rig.Origin
	seen  int // of what raw has
	proxy *rig.Proxy
}

// newSite puts the proxy in front of a raw origin, Go's, and all peers.
func newSite(t *testing.T, kind rig.Kind) *site {
	t.Helper()
	s := &site{raw: rig.NewOrigin(t, func(string) string { return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" })}
	type end struct{ name, addr string }
	ends := []end{{"raw", s.raw.Addr}}
	s.chains = append(s.chains, &chain{name: "raw"})
	add := func(name string, addr func(*recorder) string) {
		r := newRecorder(t)
		s.chains = append(s.chains, &chain{name: name, recorder: r})
		ends = append(ends, end{name, addr(r)})
	}
	add("go", func(r *recorder) string { return r.addr })
	for _, p := range peers {
		add(p, func(r *recorder) string { return "unix:" + startPeer(t, p, r.addr) })
	}
	config := "listeners:\n"
	for i, e := range ends {
		config += fmt.Sprintf("- {name: %s, address: \"127.0.0.%d:0\"}\n", e.name, i+1)
	}
	config += "routes:\n"
	for _, e := range ends {
		config += fmt.Sprintf("- {name: %[1]s, listeners: [%[1]s], rules: [{backends: [%[1]s]}]}\n", e.name)
	}
	config += "clusters:\n"
	for _, e := range ends {
		config += fmt.Sprintf("- {name: %s, endpoints: [\"%s\"]}\n", e.name, e.addr)
	}
	s.proxy = program.Start(t, rig.Options{Kind: kind, Config: config})
	for _, c := range s.chains {
		c.addr = s.proxy.Addr(c.name)
	}
	return s
}

// send sends what a client says, closes its direction, and returns all that comes
// back. Pieces is the size of the pieces that it is sent in; 0: one.
func send(t *testing.T, addr, raw string, pieces int) string {
	t.Helper()
	c, err := lab.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(8 * time.Second))
	if pieces == 0 {
		pieces = max(len(raw), 1)
	}
	for len(raw) > 0 {
		n := min(pieces, len(raw))
		if _, err := io.WriteString(c, raw[:n]); err != nil {
			break // refused already
		}
		raw = raw[n:]
	}
	if w, ok := c.(interface{ CloseWrite() error }); ok {
		_ = w.CloseWrite()
	}
	answer, _ := io.ReadAll(c) // a reset after a refusal is one
	return string(answer)
}

// statuses are those of the answers in what came back, 1xx left out.
func statuses(answer string) []string {
	var out []string
	for answer != "" {
		i := strings.Index(answer, "HTTP/1.1 ")
		if i < 0 {
			i = strings.Index(answer, "HTTP/1.0 ")
		}
		if i < 0 || len(answer) < i+12 {
			break
		}
		if code := answer[i+9 : i+12]; code[0] != '1' {
			out = append(out, code)
		}
		answer = answer[i+12:]
	}
	return out
}
