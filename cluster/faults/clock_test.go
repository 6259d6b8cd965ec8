//go:build linux

package faults

import (
	"testing"
	"time"

	"github.com/tatami-platform/tatami/cluster/internal/instance"
	"github.com/tatami-platform/tatami/cluster/internal/pki"
)

const year = 365 * 24 * time.Hour

// TestClockJump starts clusters whose certificates were made by a clock that was
// wrong. The machine's own clock is not touched: the files are made with another
// time. A clock that jumps is the same to a certificate.
func TestClockJump(t *testing.T) {
	for _, tt := range []struct {
		name, short string
		// made is when the files were made, as seen from now.
		made time.Duration
	}{
		{"leaves have ended", "f8", -3 * year},
		{"a clock without a battery: the authority has ended", "f9", -50 * year},
		{"the clock was ahead: nothing is valid yet", "fa", 3 * year},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCluster(t, tt.short)
			config := instance.Config{Name: c.name, DataDir: c.dir, Port: 6443}
			if err := instance.Open(config); err != nil {
				t.Fatal(err)
			}
			if err := pki.Ensure(config, "https://127.0.0.1:6443", time.Now().Add(tt.made)); err != nil {
				t.Fatal(err)
			}
			c.run("up", "--node", "none", "--timeout", "60s").must(t)
			mustHeal(t, c, config)
			// And again, with what was healed.
			c.run("down").must(t)
			c.run("up", "--node", "none").must(t)
			mustHeal(t, c, config)
		})
	}
}

func mustHeal(t *testing.T, c *cluster, config instance.Config) {
	t.Helper()
	c.waitReady(t, 0)
	if _, err := c.mustClient(t).Discovery().ServerVersion(); err != nil {
		t.Errorf("the merged kubeconfig does not work: %v", err)
	}
	name, end, err := pki.FirstExpiry(config)
	if err != nil || end.Before(time.Now().Add(year)) {
		t.Errorf("%s ends on %s, which is too soon (%v)", name, end, err)
	}
	c.run("check", "-o", "short").must(t)
}
