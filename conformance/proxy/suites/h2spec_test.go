package suites

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/summerwind/h2spec/config"
	"github.com/summerwind/h2spec/generic"
	"github.com/summerwind/h2spec/hpack"
	"github.com/summerwind/h2spec/http2"
	"github.com/summerwind/h2spec/spec"

	"github.com/tatami-platform/tatami/conformance/proxy/rig"
)

// h2specCases is how many cases v2.2.1 of the suite has, strict ones included.
const h2specCases = 146

func TestH2spec(t *testing.T) {
	if testing.Short() {
		t.Skip("the suite waits for time-outs; CI runs it without -short")
	}
	// Cases need an answer with a body to play with.
	backend := rig.HTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "a body that is longer than the smallest window")
	}))
	for _, kind := range rig.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			for _, tt := range []struct {
				name string
				tls  string
			}{
				{"h2c", ""},
				{"TLS", withTLS},
			} {
				t.Run(tt.name, func(t *testing.T) {
					p, addr := quick(t, kind, backend, tt.tls, "")
					before := p.Usage()
					runH2spec(t, addr, tt.tls != "")
					p.Settle(before, rig.Growth{FDs: 4, Goroutines: 8, RSS: 64 << 20})
				})
			}
		})
	}
}

// runH2spec runs each case of the suite as a test of its own, on a connection of
// its own. Its own runner prints and exits.
func runH2spec(t *testing.T, addr string, tls bool) {
	t.Helper()
	n, err := strconv.Atoi(port(t, addr))
	if err != nil {
		t.Fatal(err)
	}
	c := &config.Config{
		Host: "127.0.0.1", Port: n, Path: "/", Timeout: 2 * time.Second, MaxHeaderLen: 4000,
		Strict: true, TLS: tls, Insecure: true,
	}
	var total atomic.Int64
	t.Run("cases", func(t *testing.T) {
		for _, group := range []*spec.TestGroup{generic.Spec(), http2.Spec(), hpack.Spec()} {
			h2specGroup(t, c, group, &total)
		}
	})
	if total.Load() != h2specCases {
		t.Errorf("%d cases were run, want %d", total.Load(), h2specCases)
	}
}

func h2specGroup(t *testing.T, c *config.Config, group *spec.TestGroup, total *atomic.Int64) {
	t.Helper()
	for i, tc := range slices.Concat(group.Tests, group.StrictTests) {
		t.Run(fmt.Sprintf("%s/%d", group.ID(), i+1), func(t *testing.T) {
			t.Parallel() // most of the time is waiting
			total.Add(1)
			conn, err := spec.Dial(c)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			err = tc.Run(c, conn)
			if id := fmt.Sprintf("%s/%d", group.ID(), i+1); !c.TLS && id == "http2/3.5/2" && err != nil {
				// What is no preface is HTTP/1.1 on a port that speaks both, and
				// gets an answer in it before the connection ends; the suite
				// knows ports of HTTP/2 alone.
				if strings.Contains(err.Error(), "looked like an HTTP/1.1 header") {
					return
				}
			}
			h2specVerdict(t, tc, err)
		})
	}
	for _, g := range group.Groups {
		h2specGroup(t, c, g, total)
	}
}

func h2specVerdict(t *testing.T, tc *spec.TestCase, err error) {
	t.Helper()
	var failed *spec.TestError
	switch {
	case err == nil:
	case errors.Is(err, spec.ErrSkipped):
		// The suite says so where a server's settings leave a case without
		// sense, such as more streams than any client may open.
		t.Logf("not applicable: %s", tc.Desc)
	case errors.As(err, &failed):
		t.Errorf("%s\n%s\nexpected: %q\nactual: %s", tc.Desc, tc.Requirement, failed.Expected, failed.Actual)
	default:
		t.Errorf("%s\n%s\n%v", tc.Desc, tc.Requirement, err)
	}
}
