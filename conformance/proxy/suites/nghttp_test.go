package suites

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tatami-platform/tatami/conformance/proxy/rig"
)

func TestNghttp(t *testing.T) {
	file := filepath.Join(t.TempDir(), "upload")
	if err := os.WriteFile(file, []byte(pattern(500_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := rig.HTTP(t, backend())
	for _, kind := range rig.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			_, plain := front(t, kind, "--backend", addr)
			_, secure := front(t, kind, append(tlsArgs(t, rig.NewCA(t)), "--backend", addr)...)
			for name, base := range map[string]string{"h2c": "http://" + plain, "TLS": "https://localhost:" + port(t, secure)} {
				t.Run(name, func(t *testing.T) {
					t.Run("many streams", func(t *testing.T) {
						got := mustTool(t, "nghttp", "-nsy", "-m", "20", base+"/size/100000", base+"/echo", base+"/slow/100")
						if n := strings.Count(got, " 200 "); n != 60 {
							t.Errorf("%d of 60 streams were answered with 200:\n%s", n, clip(got))
						}
					})
					t.Run("trailers", func(t *testing.T) {
						got := mustTool(t, "nghttp", "-vy", "--no-content-length", "--trailer", "x-sum: up", "-d", file, base+"/trailers")
						wants(t, got, "x-sum: down:up", ":status: 200")
					})
					t.Run("upload", func(t *testing.T) {
						wants(t, mustTool(t, "nghttp", "-y", "-d", file, base+"/echo"), bodyLine(pattern(500_000)))
					})
					t.Run("priorities and a small window", func(t *testing.T) {
						got := mustTool(t, "nghttp", "-nsy", "-p", "7", "-w", "14", "-W", "14", base+"/size/300000", base+"/echo")
						if n := strings.Count(got, " 200 "); n != 2 {
							t.Errorf("%d of 2 streams were answered with 200:\n%s", n, clip(got))
						}
					})
					t.Run("settings of its own", func(t *testing.T) {
						got := mustTool(t, "nghttp", "-vny", "--encoder-header-table-size=0", "--header-table-size=0", base+"/size/300000")
						wants(t, got, ":status: 200", "END_STREAM")
					})
					t.Run("CONTINUATION and padding", func(t *testing.T) {
						got := mustTool(t, "nghttp", "-vy", "--continuation", "-b", "200", base+"/echo")
						wants(t, got, ":status: 200", "GET /echo")
					})
				})
			}
			t.Run("an upgrade to h2c is not taken", func(t *testing.T) {
				// RFC 9113, section 3.1: it is deprecated. The answer is HTTP/1.1, which
				// nghttp does not go on with.
				got, _ := tool(t, "", "nghttp", "-vu", "http://"+plain+"/echo")
				wants(t, got, "HTTP/1.1 200 OK")
			})
		})
	}
}

func TestH2load(t *testing.T) {
	requests := 10_000
	if testing.Short() {
		requests = 500
	}
	addr := rig.HTTP(t, backend())
	for _, kind := range rig.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			for _, tt := range []struct {
				name   string
				tls    string
				flags  []string
				to     string
				path   string
				scheme string
			}{
				{"h2c to HTTP/1.1", "", []string{"-c20", "-m10"}, "", "/size/100", "http"},
				{"h2c to h2c", "", []string{"-c20", "-m10"}, ", protocol: HTTP2", "/size/100", "http"},
				{"HTTP/1.1", "", []string{"-c20", "--h1"}, "", "/size/100", "http"},
				{"TLS HTTP/2", withTLS, []string{"-c20", "-m10"}, "", "/size/100", "https"},
				{"TLS HTTP/1.1", withTLS, []string{"-c20", "--h1"}, "", "/size/100", "https"},
				{"20 KB bodies", "", []string{"-c10", "-m10"}, "", "/size/20000", "http"},
			} {
				t.Run(tt.name, func(t *testing.T) {
					p, at := quick(t, kind, addr, tt.tls, tt.to)
					before := p.Usage()
					args := append(tt.flags, "-n", fmt.Sprint(requests), tt.scheme+"://"+at+tt.path)
					got := mustTool(t, "h2load", args...)
					wants(t, got, fmt.Sprintf("%d succeeded, 0 failed, 0 errored, 0 timeout", requests), fmt.Sprintf("%d 2xx, 0 3xx, 0 4xx, 0 5xx", requests))
					settle(t, p, before)
				})
			}
		})
	}
}
