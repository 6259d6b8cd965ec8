package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/bench/proxy/load"
	"github.com/tatami-platform/tatami/bench/proxy/peer"
)

// TestMain lets the program start itself as a backend, as bench does.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "-serve" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		name   string
		values []float64
		want   float64
	}{
		{"none", nil, 0},
		{"one", []float64{7}, 7},
		{"odd", []float64{9, 1, 5}, 5},
		{"even", []float64{4, 1, 9, 2}, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := median(tt.values); got != tt.want {
				t.Errorf("median(%v) = %g, want %g", tt.values, got, tt.want)
			}
		})
	}
}

// TestPairs holds that a disturbance that both saw does not change a ratio.
func TestPairs(t *testing.T) {
	var a, b figure
	for _, slow := range []float64{1, 10, 3} {
		a.add(2 * slow)
		b.add(4 * slow)
	}
	b.add(1) // without a partner
	got := pairs(a, b, over)
	if got.Median != 0.5 || got.Min != 0.5 || got.Max != 0.5 || len(got.Values) != 3 {
		t.Errorf("pairs = %+v", got)
	}
	if got := over(1, 0); got != 0 {
		t.Errorf("a ratio to nothing is %g", got)
	}
}

func TestSetRate(t *testing.T) {
	for _, tt := range []struct {
		name string
		can  map[string]float64
		want float64
		out  []string
	}{
		{"the slower of the two", map[string]float64{"tatami": 80, "haproxy": 60, "nginx": 70, "caddy": 30}, 30, []string{"caddy"}},
		{"one of the two", map[string]float64{"haproxy": 60, "nginx": 70}, 30, nil},
		{"none of the two", map[string]float64{"nginx": 70, "caddy": 40}, 20, nil},
		{"one that failed", map[string]float64{"tatami": 0, "haproxy": 60}, 30, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var entrants []*entrant
			for name, rate := range tt.can {
				entrants = append(entrants, &entrant{name: name, rate: rate, result: &peerResult{}})
				if rate == 0 {
					entrants[len(entrants)-1].result.Failure = "it failed"
				}
			}
			if got := setRate(entrants); got != tt.want {
				t.Errorf("rate = %g, want %g", got, tt.want)
			}
			for _, e := range entrants {
				left := strings.HasPrefix(e.result.Failure, "not measured")
				if left != slices.Contains(tt.out, e.name) {
					t.Errorf("%s: failure %q", e.name, e.result.Failure)
				}
			}
		})
	}
}

// result makes a case in which ours takes so many microseconds and each peer 10.
func result(name string, cpu float64) caseResult {
	c := caseResult{Name: name, Kind: saturated}
	for _, p := range []string{peer.Tatami, peer.HAProxy, peer.Nginx, peer.Traefik, peer.Caddy} {
		r := peerResult{Name: p, Requests: 1}
		took := 10.0
		if p == peer.Tatami {
			took = cpu
		}
		for range 3 {
			r.CPU.add(took)
			r.PerSecond.add(1000 / took)
			r.P99.add(took)
			r.RSS.add(took * 1e6)
			r.Ready.add(took)
			r.Ack.add(took)
			r.Apply.add(took)
		}
		r.BinaryBytes = 1e6 * int64(took)
		c.Peers = append(c.Peers, r)
	}
	return c
}

func TestTargets(t *testing.T) {
	for _, tt := range []struct {
		name   string
		cpu    float64
		missed []string
	}{
		{"h1-c64", 4, nil},
		{"h1-c64", 5, []string{"CPU per request over traefik", "CPU per request over caddy"}},
		{"h1-c64", 11, []string{"CPU per request over nginx", "CPU per request over haproxy", "CPU per request over traefik", "CPU per request over caddy"}},
		{"h1-c1", 100, nil},
		{"tls", 5, nil},
		{"tls", 12, []string{"CPU per request over traefik", "CPU per request over caddy"}},
		{"grpc", 13, []string{"CPU per request over nginx", "CPU per request over traefik", "CPU per request over caddy"}},
		{"tcp", 10, nil},
		{"h1-1m", 11.5, []string{"CPU per request over haproxy", "throughput over haproxy"}},
		{"latency", 10, nil},
		{"latency", 11, []string{"added p99 less HAProxy's"}},
		{"footprint", 14, nil},
		{"footprint", 25, []string{"size of the program", "resident memory"}},
		{"reload-5000", 9, nil},
		{"reload-5000", 41, []string{"resident memory", "change to acknowledgement", "change to first answer"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &report{Cases: []caseResult{result(tt.name, tt.cpu)}}
			r.Cases[0].compare()
			r.judge()
			var missed []string
			for _, target := range r.Targets {
				if !target.Met {
					missed = append(missed, target.Name)
				}
			}
			if !slices.Equal(missed, tt.missed) || r.met() != (tt.missed == nil) {
				t.Errorf("missed are %q, want %q", missed, tt.missed)
			}
		})
	}
}

// TestMissingIsMissed holds that a server without figures meets no target, and
// neither does one that failed.
func TestMissingIsMissed(t *testing.T) {
	for _, c := range cases() {
		r := &report{Cases: []caseResult{result(c.name, 1)}}
		r.Cases[0].Kind = c.kind
		for i := range r.Cases[0].Peers {
			r.Cases[0].Peers[i].Failure = "an answer was wrong"
		}
		r.Cases[0].compare()
		r.judge()
		for _, target := range r.Targets {
			if target.Met {
				t.Errorf("%s: %s is met without a figure", c.name, target.Name)
			}
		}
	}
}

func TestLostRequestMissesItsTarget(t *testing.T) {
	c := result("reload-5000", 1)
	c.Peers[0].Failure = lostPrefix + ": the answer is 404"
	r := &report{Cases: []caseResult{c}}
	r.judge()
	i := slices.IndexFunc(r.Targets, func(t target) bool { return t.Name == "requests lost" })
	if i < 0 || r.Targets[i].Met || !r.Targets[i].Measured {
		t.Errorf("targets = %+v", r.Targets)
	}
}

func TestWrite(t *testing.T) {
	r := &report{Runs: 3, Cases: []caseResult{result("h1-c64", 5)}}
	r.Cases[0].Peers[4].Failure = "its answer was 502"
	r.Cases[0].compare()
	r.judge()
	var table, text bytes.Buffer
	if err := r.write(&table, "table"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"0.50 (0.50–0.50)", "its answer was 502", "at most 0.40"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("%q is not in the table:\n%s", want, table.String())
		}
	}
	if err := r.write(&text, "json"); err != nil {
		t.Fatal(err)
	}
	var back report
	if err := json.Unmarshal(text.Bytes(), &back); err != nil || len(back.Targets) != len(r.Targets) || back.Cases[0].Peers[0].CPU.Median != 5 {
		t.Errorf("JSON: %v\n%s", err, text.String())
	}
}

func TestParse(t *testing.T) {
	for _, args := range [][]string{
		{"-o", "yaml"}, {"-n", "0"}, {"-slice", "0s"}, {"-case", "("}, {"-case", "no such case"}, {"-x"},
	} {
		if _, err := parse(args, io.Discard); err == nil {
			t.Errorf("%v is accepted", args)
		}
	}
	s, err := parse([]string{"-case", "^h1-c", "-peers", "nginx,caddy", "-quick"}, io.Discard)
	if err != nil || len(s.chosen()) != 4 || !slices.Equal(s.peers, []string{"nginx", "caddy"}) || s.runs != 3 {
		t.Errorf("parse = %+v, %v", s, err)
	}
}

func TestRoutedMeetsAll(t *testing.T) {
	met := map[string]bool{}
	for _, request := range routed(100, 10) {
		text := string(request)
		path, _, _ := strings.Cut(text, "item/")
		_, host, _ := strings.Cut(text, "Host: ")
		host, _, _ = strings.Cut(host, "\r\n")
		met[host+path] = true
	}
	if len(met) != 1000 {
		t.Errorf("%d routes are met, want 1,000", len(met))
	}
}

func TestMessages(t *testing.T) {
	if got := messages(2, 3); !bytes.Equal(got, []byte("\x00\x00\x00\x00\x03ttt\x00\x00\x00\x00\x03ttt")) {
		t.Errorf("messages = %q", got)
	}
}

func TestServeRefuses(t *testing.T) {
	if err := serve(t.Context(), "nothing", strings.NewReader(""), io.Discard); err == nil {
		t.Error("an unknown backend serves")
	}
}

// TestSlow holds that the slow backend is slow, and is asked for nothing else.
func TestSlow(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		_ = serveSlow(l)
		close(done)
	}()
	defer func() { _ = l.Close(); <-done }()
	ask := load.HTTP1{Requests: [][]byte{load.Get(hostname, "/")}, BodyBytes: peer.SmallBytes}
	r, err := ask.Run(t.Context(), l.Addr().String(), load.Plan{Connections: 4, Requests: 8})
	if err != nil || r.Quantile(0) < slowness || r.Elapsed > 2*time.Second {
		t.Errorf("fastest answer after %s, all after %s, %v", r.Quantile(0), r.Elapsed, err)
	}
}

// TestSmoke runs cases of every kind with the real programs: nginx, HAProxy, and
// ours where it builds.
func TestSmoke(t *testing.T) {
	for _, program := range []string{"nginx", "haproxy", "h2load"} {
		if _, err := exec.LookPath(program); err != nil {
			if _, err := exec.LookPath("/usr/sbin/" + program); err != nil {
				t.Skipf("CI installs it: %v", err)
			}
		}
	}
	const which = "^(h1-new|mtls|h2|grpc-stream|latency|footprint|tcp|reload-5000|reload-5000-file)$"
	s := settings{
		peers: []string{peer.Tatami, peer.HAProxy, peer.Nginx}, only: regexp.MustCompile(which),
		runs: 2, slice: 40 * time.Millisecond, changes: 3, steady: 40 * time.Millisecond, busy: 40 * time.Millisecond, bin: buildTatami(t),
	}
	if s.bin == "" {
		s.peers = s.peers[1:]
	}
	t.Setenv("TMPDIR", t.TempDir())
	var log bytes.Buffer
	r, err := compare(t.Context(), s, &log)
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	r.judge()
	if len(r.Cases) != 9 {
		t.Errorf("%d cases, want 9", len(r.Cases))
	}
	for _, c := range r.Cases {
		for _, p := range c.Peers {
			checkSmoke(t, c, p)
		}
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// checkSmoke holds what must be there however busy the machine is.
func checkSmoke(t *testing.T, c caseResult, p peerResult) {
	t.Helper()
	allowed := strings.HasPrefix(p.Failure, "not measured") || strings.Contains(p.Failure, "libnginx-mod-stream")
	if p.Failure != "" {
		if !allowed {
			t.Errorf("%s: %s: %s", c.Name, p.Name, p.Failure)
		}
		return
	}
	switch c.Kind {
	case footprint:
		if p.BinaryBytes < 1<<20 || p.Ready.Min <= 0 || p.RSS.Min < 1<<20 {
			t.Errorf("%s: %s: %+v", c.Name, p.Name, p)
		}
	case reload, reloadFile:
		acks := 3
		if c.Kind == reloadFile {
			acks = 0
		}
		if len(p.Ack.Values) != acks || len(p.Apply.Values) != 3 || p.Requests == 0 || p.Memory.Peak < p.Memory.RSS {
			t.Errorf("%s: %s: %+v", c.Name, p.Name, p)
		}
	default:
		if len(p.PerSecond.Values) != 2 || p.PerSecond.Min <= 0 || p.P50.Min <= 0 || p.P99.Median < p.P50.Median {
			t.Errorf("%s: %s: %+v", c.Name, p.Name, p)
		}
		// No server answers a request within a tenth of a microsecond, or takes a second.
		if p.Name != directName && (p.CPU.Min < 0.1 || p.CPU.Max > 1e6) {
			t.Errorf("%s: %s takes %g to %g µs of processor time per request", c.Name, p.Name, p.CPU.Min, p.CPU.Max)
		}
	}
}

// buildTatami builds ours, or says that it does not build; its own tests fail then.
func buildTatami(t *testing.T) string {
	t.Helper()
	root, err := repository(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	shop := peer.Workshop{Root: root, Cache: t.TempDir()}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	p, err := shop.Program(ctx, peer.Tatami)
	if err != nil {
		t.Logf("without tatami-proxy: %v", err)
		return ""
	}
	return p.Path
}
