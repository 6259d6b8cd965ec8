package config

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestReadmeListsAllSettings compares the table with what the code reads.
func TestReadmeListsAllSettings(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| `(SHOP_[A-Z_]+)` \\| ([a-z, ]+) \\| `([^`]*)` \\| .+ \\|$")
	documented := map[string][]setting{}
	for _, m := range row.FindAllStringSubmatch(string(readme), -1) {
		for role := range settings() {
			if m[2] == "all" || slices.Contains(strings.Split(m[2], ", "), role) {
				documented[role] = append(documented[role], setting{m[1], m[3]})
			}
		}
	}
	for role, read := range settings() {
		byName := func(a, b setting) int { return strings.Compare(a.name, b.name) }
		slices.SortFunc(read, byName)
		slices.SortFunc(documented[role], byName)
		if diff := cmp.Diff(documented[role], read, cmp.AllowUnexported(setting{})); diff != "" {
			t.Errorf("%s: the README (-) differs from the code (+):\n%s", role, diff)
		}
	}
}

func TestValues(t *testing.T) {
	c, err := LoadWorker([]string{
		"SHOP_WORK_TIME=1s", "SHOP_ACK_WAIT=3s", "SHOP_WORKER_CONCURRENCY=", "SHOP_LOG_LEVEL=debug",
		"SHOP_QUEUE_URL=nats://10.0.0.1:4222/", "SHOP_LOAD_RPS=not read by this role", "PATH=/bin", "odd",
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.WorkTime != time.Second || c.AckWait != 3*time.Second || c.Concurrency != 4 || c.LogLevel >= 0 || c.QueueURL != "nats://10.0.0.1:4222" {
		t.Errorf("got %+v", c)
	}
}

func TestWrongValues(t *testing.T) {
	loaders := map[string]func([]string) error{
		"web":      func(e []string) error { _, err := LoadWeb(e); return err },
		"catalog":  func(e []string) error { _, err := LoadCatalog(e); return err },
		"cart":     func(e []string) error { _, err := LoadCart(e); return err },
		"checkout": func(e []string) error { _, err := LoadCheckout(e); return err },
		"worker":   func(e []string) error { _, err := LoadWorker(e); return err },
		"queue":    func(e []string) error { _, err := LoadQueue(e); return err },
		"load":     func(e []string) error { _, err := LoadLoad(e); return err },
	}
	tests := []struct {
		role    string
		environ string
		want    string
	}{
		{"web", "SHOP_ADDR=8080", `SHOP_ADDR="8080": want HOST:PORT or :PORT, such as :8080`},
		{"web", "SHOP_ADDR=:99999", "want HOST:PORT"},
		{"web", "SHOP_ADMIN_ADDR=:http", "SHOP_ADMIN_ADDR"},
		{"web", "SHOP_CATALOG_ADDR=:9000", "want HOST:PORT, such as catalog:9000"},
		{"web", "SHOP_CATALOG_ADDR=catalog:0", "want HOST:PORT"},
		{"web", "SHOP_CART_URL=https://cart", "want http://HOST:PORT, such as http://cart:8080"},
		{"web", "SHOP_CART_URL=http://cart/path", "want http://"},
		{"web", "SHOP_CART_URL=http://", "want http://"},
		{"web", "SHOP_CALL_TIMEOUT=2", "want a value from 10ms to 1m0s, such as 2s"},
		{"catalog", "SHOP_LOG_LEVEL=loud", "want one of debug, info, warn, error"},
		{"cart", "SHOP_MAX_CARTS=0", "want a value from 1 to 1000000, such as 10000"},
		{"cart", "SHOP_MAX_CARTS=1e3", "want a value from 1"},
		{"cart", "SHOP_MAX_CART=5", `SHOP_MAX_CART="5": no such setting`},
		{"checkout", "SHOP_QUEUE_URL=http://queue:4222", "want nats://HOST:PORT"},
		{"worker", "SHOP_WORK_TIME=6s", "want less than half of SHOP_ACK_WAIT, which is 10s"},
		{"worker", "SHOP_DRAIN_DELAY=-1s", "want a value from 0s to 1m0s"},
		{"queue", "SHOP_QUEUE_MAX_MIB=64", "want a value from 128"},
		{"load", "SHOP_LOAD_PATTERN=random", "want one of steady, step, wave, burst"},
		{"load", "SHOP_LOAD_RPS=NaN", "want a value from 0.1"},
		{"load", "SHOP_LOAD_PATTERN=wave SHOP_LOAD_RPS=50", "want at least SHOP_LOAD_RPS, which is 50"},
	}
	for _, tt := range tests {
		t.Run(tt.role+" "+tt.environ, func(t *testing.T) {
			err := loaders[tt.role](strings.Fields(tt.environ))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
	for role, load := range loaders {
		if err := load(nil); err != nil {
			t.Errorf("%s with no setting at all: %v", role, err)
		}
	}
}

func TestAllProblemsAreToldAtOnce(t *testing.T) {
	_, err := LoadLoad([]string{"SHOP_LOAD_RPS=x", "SHOP_WEB_URL=y", "SHOP_NONE=z"})
	for _, name := range []string{"SHOP_LOAD_RPS", "SHOP_WEB_URL", "SHOP_NONE"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is missing in: %v", name, err)
		}
	}
}
