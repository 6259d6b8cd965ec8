package dns

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/coredns/caddy"
	"github.com/coredns/caddy/caddyfile"

	"github.com/tatami-platform/tatami/cluster/internal/instance"
)

// parse reads the Corefile as CoreDNS does.
func parse(t *testing.T, upstream string) caddyfile.ServerBlock {
	t.Helper()
	text := render(instance.Config{Name: "x", DataDir: "/d"}, upstream)
	if strings.Contains(text, "{{") {
		t.Fatalf("a mark is left in\n%s", text)
	}
	blocks, err := caddyfile.Parse("Corefile", strings.NewReader(text), caddy.ValidDirectives("dns"))
	if err != nil {
		t.Fatal(err)
	}
	if len(blocks) != 1 || !slices.Equal(blocks[0].Keys, []string{".:53"}) {
		t.Fatalf("server blocks %v", blocks)
	}
	return blocks[0]
}

func words(tokens []caddyfile.Token) string {
	var all []string
	for _, token := range tokens {
		all = append(all, token.Text)
	}
	return strings.Join(all, " ")
}

// TestCorefile: every directive is known, and its plugin is linked in.
func TestCorefile(t *testing.T) {
	for _, upstream := range []string{"", "127.0.0.1:5353"} {
		block := parse(t, upstream)
		want := []string{"bind", "cache", "errors", "kubernetes", "loadbalance"}
		if upstream != "" {
			want = []string{"bind", "cache", "errors", "forward", "kubernetes", "loadbalance"}
		}
		if got := slices.Sorted(maps.Keys(block.Tokens)); !slices.Equal(got, want) {
			t.Errorf("upstream %q: directives %v, want %v", upstream, got, want)
		}
		for name := range block.Tokens {
			if _, err := caddy.DirectiveAction("dns", name); err != nil {
				t.Errorf("%s is not linked in: %v", name, err)
			}
		}
	}
}

func TestCorefileValues(t *testing.T) {
	block := parse(t, "127.0.0.1:5353")
	for name, want := range map[string]string{
		"bind":       "bind 10.244.0.1",
		"forward":    "forward . 127.0.0.1:5353",
		"kubernetes": "kubernetes cluster.local in-addr.arpa ip6.arpa { kubeconfig /d/pki/dns.kubeconfig pods insecure fallthrough in-addr.arpa ip6.arpa ttl 5 }",
		// A name of the cluster that changed must not be answered from a cache.
		"cache": "cache 30 { disable success cluster.local disable denial cluster.local }",
	} {
		if got := words(block.Tokens[name]); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}
