package role_test

import (
	"bytes"
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/examples/shop/internal/role"
	"github.com/tatami-platform/tatami/examples/shop/internal/service"
)

// local makes a role listen on free ports of this machine only.
func local(environ ...string) []string {
	return append([]string{
		"SHOP_ADDR=127.0.0.1:0", "SHOP_ADMIN_ADDR=127.0.0.1:0", "SHOP_DRAIN_DELAY=50ms",
	}, environ...)
}

func TestMainRefuses(t *testing.T) {
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().String()
	tests := []struct {
		name    string
		args    []string
		environ []string
		want    string
	}{
		{"no role", nil, nil, "usage: shop ROLE\nroles: cart, catalog, checkout, load, queue, web, worker"},
		{"two roles", []string{"web", "cart"}, nil, "usage: shop ROLE"},
		{"unknown role", []string{"till"}, nil, `shop: no role "till"; there are cart, catalog`},
		{"bad setting", []string{"cart"}, local("SHOP_MAX_CARTS=many"), `shop: cart: configuration: SHOP_MAX_CARTS="many": want a value from 1`},
		{"port taken", []string{"cart"}, local("SHOP_ADDR=" + port), "cannot listen on " + port + "; is the port taken?"},
		{"gRPC port taken", []string{"catalog"}, local("SHOP_ADDR=" + port), "cannot listen on " + port},
		{"NATS port taken", []string{"queue"}, local("SHOP_ADDR="+port, "SHOP_QUEUE_DIR="+t.TempDir()), "address already in use"},
		{"admin port taken", []string{"worker"}, local("SHOP_ADMIN_ADDR=" + port), "cannot listen on " + port},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var stderr, stdout bytes.Buffer
			if code := role.Main(t.Context(), tt.args, tt.environ, &stdout, &stderr); code != 1 {
				t.Errorf("exit code %d", code)
			}
			if !strings.Contains(stderr.String(), tt.want) {
				t.Errorf("got %s, want %s", stderr.String(), tt.want)
			}
		})
	}
}

// TestAloneNotReady: a role without what it needs starts, is alive, says what
// it lacks, and ends in good order.
func TestAloneNotReady(t *testing.T) {
	const nobody = "127.0.0.1:1" // Reserved, and nobody listens there.
	for name, lacks := range map[string][]string{
		"web": {"catalog"}, "checkout": {"queue", "catalog", "cart"}, "worker": {"queue"}, "load": {"web"}, "cart": nil, "catalog": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var logs lockedBuffer
			p, err := role.New(name, local(
				"SHOP_CATALOG_ADDR="+nobody, "SHOP_CART_URL=http://"+nobody, "SHOP_CHECKOUT_URL=http://"+nobody,
				"SHOP_QUEUE_URL=nats://"+nobody, "SHOP_WEB_URL=http://"+nobody), &logs)
			if err != nil {
				t.Fatal(err)
			}
			end := run(t, p)
			state := ready(t, p.Admin.Addr().String())
			if state.Ready != (len(lacks) == 0) || len(state.Checks) != len(lacks) {
				t.Errorf("ready: %+v", state)
			}
			for _, check := range lacks {
				if said := state.Checks[check]; said == "" || said == "ok" {
					t.Errorf("%s is away, readiness says %q", check, said)
				}
			}
			end()
			for line := range strings.Lines(logs.String()) {
				if !strings.HasPrefix(line, `{"time":`) || !strings.Contains(line, `"role":"`+name+`"`) {
					t.Errorf("log line %s", line)
				}
			}
		})
	}
}

// lockedBuffer takes logs that goroutines may still write when it is read.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// run serves a role and returns how to end it; the end is checked.
func run(t *testing.T, p *service.Process) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	done := false
	end = func() {
		t.Helper()
		if done {
			return
		}
		done = true
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("ended with %v", err)
			}
		case <-time.After(30 * time.Second):
			t.Error("did not end")
		}
	}
	t.Cleanup(end)
	return end
}
