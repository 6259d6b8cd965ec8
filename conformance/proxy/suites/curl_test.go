package suites

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tatami-platform/tatami/conformance/proxy/rig"
)

// curlCase is one call of curl. URL stands for the proxy's, FILE for a file of 3 MB.
type curlCase struct {
	name  string
	args  string
	wants []string
}

const big = 3 << 20

func curlCases() []curlCase {
	upload := bodyLine(pattern(big))
	return []curlCase{
		{"GET", "URL/echo", []string{"GET /echo HTTP/1.1\n", "X-Forwarded-For: 127.0.0.1"}},
		{"HEAD", "-I URL/size/1000", []string{"200", "ontent-"}},
		{"POST", "-d a=b URL/echo", []string{"POST /echo", bodyLine("a=b")}},
		{"upload with Content-Length", "-T FILE URL/echo", []string{"PUT /echo", upload}},
		{"upload that waits for 100", "-H Expect:100-continue -T FILE URL/echo", []string{upload}},
		{"upload of unknown length", "-H Transfer-Encoding:chunked -T FILE URL/echo", []string{upload}},
		{"download", "-o /dev/null -w %{size_download} URL/size/10000000", []string{"10000000"}},
		{"range", "-r 2-5 -D - URL/size/1000", []string{"206", "ontent-", "bytes 2-5/1000", "1\n2\n"}},
		{"condition", `-H If-None-Match:"v1" -D - URL/size/10`, []string{"304"}},
		{"two requests on a connection", "-w %{num_connects}; URL/echo -o /dev/null URL/echo -o /dev/null", []string{"1;0;"}},
		{"parallel", "-Z -o /dev/null -o /dev/null -o /dev/null -w %{response_code}; URL/slow/50 URL/size/500000 URL/echo", []string{"200;200;200;"}},
		{"trailers", "-D - URL/trailers", []string{"-", "body", "own:"}},
		{"204", "-D - URL/status/204", []string{"204"}},
		{"503", "-D - URL/status/503", []string{"503"}},
		{"many parts", "-w %{size_download} -o /dev/null URL/slow/500", []string{"2500"}},
		{"cookies", "-b a=b;c=d URL/echo", []string{"Cookie: a=b;c=d"}},
		{"form", "-F a=b -F f=@FILE URL/echo", []string{"multipart/form-data", "POST"}},
	}
}

func TestCurl(t *testing.T) {
	file := filepath.Join(t.TempDir(), "upload")
	if err := os.WriteFile(file, []byte(pattern(big)), 0o600); err != nil {
		t.Fatal(err)
	}
	ca := rig.NewCA(t)
	addr := rig.HTTP(t, backend())
	for _, kind := range rig.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			_, plain := front(t, kind, "--backend", addr)
			_, secure := front(t, kind, append(tlsArgs(t, ca), "--backend", addr)...)
			_, h2c := front(t, kind, "--h2c", "--backend", addr)
			for _, way := range []struct {
				name, flag, url, version string
			}{
				{"HTTP/1.0", "--http1.0", "http://" + plain, "1.1"}, // we answer with our version
				{"HTTP/1.1", "--http1.1", "http://" + plain, "1.1"},
				{"h2c", "--http2-prior-knowledge", "http://" + plain, "2"},
				{"h2c asked for by Upgrade", "--http2", "http://" + plain, "1.1"},
				{"TLS HTTP/1.1", "--http1.1", "https://localhost:" + port(t, secure), "1.1"},
				{"TLS HTTP/2", "--http2", "https://localhost:" + port(t, secure), "2"},
				{"HTTP/1.1 to HTTP/2", "--http1.1", "http://" + h2c, "1.1"},
				{"HTTP/2 to HTTP/2", "--http2-prior-knowledge", "http://" + h2c, "2"},
			} {
				t.Run(way.name, func(t *testing.T) {
					for _, c := range curlCases() {
						if impossible(way.flag, c.name) {
							continue
						}
						t.Run(c.name, func(t *testing.T) {
							args := []string{"-sS", "--max-time", "20", "--cacert", ca.File, way.flag}
							for a := range strings.FieldsSeq(strings.NewReplacer("URL", way.url, "FILE", file).Replace(c.args)) {
								args = append(args, a)
							}
							got := mustTool(t, "curl", args...)
							want := c.wants
							if way.version == "2" || strings.HasSuffix(way.name, "to HTTP/2") {
								got = strings.ReplaceAll(got, "HTTP/2.0\n", "HTTP/1.1\n")
							}
							wants(t, got, want...)
						})
					}
					got := mustTool(t, "curl", "-sS", "--cacert", ca.File, way.flag, "-o", "/dev/null", "-w", "%{http_version}", way.url+"/echo")
					if got != way.version {
						t.Errorf("curl spoke HTTP/%s, want %s", got, way.version)
					}
				})
			}
		})
	}
}

// impossible is what HTTP/1.0 has not, neither chunks nor connections that persist,
// and what curl cannot do: 7.88 breaks off its second request over HTTP/2 with prior
// knowledge, whatever the server.
func impossible(flag, name string) bool {
	switch flag {
	case "--http2-prior-knowledge":
		return name == "parallel" || name == "two requests on a connection"
	case "--http1.0":
		return name == "upload of unknown length" || name == "trailers" || name == "two requests on a connection"
	default:
		return false
	}
}

func TestCurlUnixSocket(t *testing.T) {
	for _, kind := range rig.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			dir, err := os.MkdirTemp("/tmp", "rig") //nolint:usetesting // short, as the kernel wants paths of sockets
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			inner, outer := filepath.Join(dir, "inner"), filepath.Join(dir, "outer")
			addr := rig.HTTP(t, backend())
			for _, args := range [][]string{
				{"--listen", "unix:" + inner, "--backend", addr},
				{"--listen", "unix:" + outer, "--backend", "unix:" + inner},
			} {
				program.Start(t, rig.Options{Kind: kind, Args: args}).Addr("main")
			}
			wants(t, mustTool(t, "curl", "-sS", "--unix-socket", outer, "http://a.example/echo"), "GET /echo HTTP/1.1", "Via: 1.1 tatami | 1.1 tatami")
			wants(t, mustTool(t, "curl", "-sS", "--http2-prior-knowledge", "--unix-socket", outer, "http://a.example/size/100000", "-o", "/dev/null", "-w", "%{size_download}"), "100000")
		})
	}
}
