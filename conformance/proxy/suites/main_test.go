package suites

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/grpclog"

	"github.com/tatami-platform/tatami/conformance/proxy/rig"
)

// program is the tatami-proxy that all tests start.
var program rig.Program

func TestMain(m *testing.M) {
	grpclog.SetLoggerV2(panicLogger{})
	os.Exit(rig.Main(m, func(p rig.Program) { program = p }))
}

// front starts a proxy with one listener, by flags.
func front(t *testing.T, kind rig.Kind, args ...string) (*rig.Proxy, string) {
	t.Helper()
	p := program.Start(t, rig.Options{Kind: kind, Args: append([]string{"--listen", "127.0.0.1:0"}, args...)})
	return p, p.Addr("main")
}

// quick is a proxy whose pooled connections end soon, so that what it uses can be
// compared before and after. tls and cluster are further fields, each may be empty.
func quick(t *testing.T, kind rig.Kind, backend, tls, cluster string) (*rig.Proxy, string) {
	t.Helper()
	text := "listeners: [{name: main, address: '127.0.0.1:0'" + tls + "}]\n" +
		"routes: [{name: main, rules: [{backends: [main]}]}]\n" +
		"clusters: [{name: main, idleTimeout: 500ms, endpoints: ['" + backend + "']" + cluster + "}]\n"
	p := program.Start(t, rig.Options{Kind: kind, Config: text + tlsResource(t, tls)})
	return p, p.Addr("main")
}

// withTLS makes the listener of quick end TLS with the certificate main.
const withTLS = ", protocol: HTTPS, tls: {certificates: [main]}"

func tlsResource(t *testing.T, tls string) string {
	t.Helper()
	if tls == "" {
		return ""
	}
	f := rig.NewCA(t).Issue(t)
	return "certificates: [{name: main, chainFile: '" + f.Chain + "', keyFile: '" + f.Key + "'}]\n"
}

// tlsArgs make a listener end TLS with a certificate of the authority.
func tlsArgs(t *testing.T, ca *rig.CA) []string {
	t.Helper()
	f := ca.Issue(t)
	return []string{"--tls-cert", f.Chain, "--tls-key", f.Key}
}

// tool runs a program of others and returns what it said on both outputs. It fails
// the test when the program is not installed; its exit code is for the caller.
func tool(t *testing.T, stdin string, name string, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v: install what build/packages.sh names for tests (make packages-test)", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		err = fmt.Errorf("%s did not end within a minute", name)
	}
	return string(out), err
}

// mustTool is tool for runs that must succeed.
func mustTool(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := tool(t, "", name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, clip(out))
	}
	return out
}

// settle holds that a proxy is back at what it used before. It takes as long as
// pooled connections stay, so -short leaves it out.
func settle(t *testing.T, p *rig.Proxy, before rig.Usage) {
	t.Helper()
	if !testing.Short() {
		p.Settle(before, rig.Growth{FDs: 6, Goroutines: 8, RSS: 96 << 20})
	}
}

// clip keeps messages readable.
func clip(s string) string {
	const most = 3000
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

func port(t *testing.T, addr string) string {
	t.Helper()
	_, p, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// wants fails the test for each text that is not in got.
func wants(t *testing.T, got string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(got, text) {
			t.Errorf("%q is not in:\n%s", text, clip(got))
		}
	}
}
