package route

import (
	"slices"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/core/connect/message"
)

func corsRule(t *testing.T, c connect.CORS) *CORS {
	t.Helper()
	return oneRule(t, connect.Rule{Filters: connect.Filters{CORS: &c}}).CORS
}

func TestCORSOrigins(t *testing.T) {
	for _, tc := range []struct {
		allowed, from string
		want          bool
	}{
		{"https://www.foo.com", "https://www.foo.com", true},
		{"https://www.foo.com", "https://www.foo.com:443", true},
		{"https://www.foo.com:443", "https://www.foo.com", true},
		{"https://www.foo.com", "https://www.foo.com:8443", false},
		{"https://www.foo.com", "http://www.foo.com", false},
		{"https://www.foo.com", "HTTPS://WWW.FOO.COM", true},
		{"https://www.foo.com", "https://www.foo.com.evil.org", false},
		{"https://www.foo.com", "https://www.foo.com@evil.org", false},
		{"https://*.bar.com", "https://www.bar.com", true},
		{"https://*.bar.com", "https://xpto.www.bar.com", true},
		{"https://*.bar.com", "https://bar.com", false},
		{"https://*.bar.com", "https://evilbar.com", false},
		{"https://*.bar.com", "https://.bar.com", false},
		{"https://*.bar.com:1", "https://a.bar.com:1", true},
		{"https://*.bar.com:1", "https://a.bar.com", false},
		{"https://*", "https://any.org", true},
		{"https://*", "http://any.org", false},
		{"*", "https://any.org:12345", true},
		{"*", "null", true},
		{"https://www.foo.com", "null", false},
		{"http://[::1]:80", "http://[::1]", true},
		{"https://a.b", "https://a.b:", false},
		{"https://a.b", "https://a.b:65979", false}, // 443 + 65536
		{"https://a.b", "https://", false},
		{"https://a.b", "", false},
		{"*", "", false},
	} {
		if got := corsRule(t, connect.CORS{AllowOrigins: []string{"https://else.where", tc.allowed}}).allows(tc.from); got != tc.want {
			t.Errorf("%q allows %q: %v, want %v", tc.allowed, tc.from, got, tc.want)
		}
	}
}

// The conformance test HTTPRouteCORS.
func TestCORSPreflight(t *testing.T) {
	list := connect.CORS{
		AllowOrigins: []string{"https://www.foo.com", "https://*.bar.com"}, AllowMethods: []string{"GET", "OPTIONS"},
		AllowHeaders: []string{"x-header-1", "x-header-2"}, ExposeHeaders: []string{"x-header-3", "x-header-4"},
		AllowCredentials: true, MaxAge: time.Hour,
	}
	star := connect.CORS{AllowOrigins: []string{"*"}, AllowMethods: []string{"*"}, AllowHeaders: []string{"*"}, ExposeHeaders: []string{"*"}}
	starWithCredentials := star
	starWithCredentials.AllowCredentials = true
	const varied = "vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
	tests := []struct {
		name   string
		c      connect.CORS
		fields []string
		want   []string
	}{
		{"list", list, []string{"Origin: https://x.y.bar.com", "access-control-request-method: GET", "access-control-request-headers: x-header-1"}, []string{
			varied, "access-control-allow-origin: https://x.y.bar.com", "access-control-allow-credentials: true", "access-control-allow-methods: GET, OPTIONS",
			"access-control-allow-headers: x-header-1, x-header-2", "access-control-expose-headers: x-header-3, x-header-4", "access-control-max-age: 3600",
		}},
		{"foreign origin", list, []string{"Origin: https://foobar.com", "access-control-request-method: GET"}, []string{varied}},
		{"stars", star, []string{"Origin: https://foobar.com:12345", "access-control-request-method: PUT"}, []string{
			varied, "access-control-allow-origin: https://foobar.com:12345", "access-control-allow-methods: PUT",
			"access-control-expose-headers: *", "access-control-max-age: 5",
		}},
		{"stars with credentials", starWithCredentials, []string{"Origin: https://a.b", "access-control-request-method: PUT", "Access-Control-Request-Headers: x-1, x-2"}, []string{
			varied, "access-control-allow-origin: https://a.b", "access-control-allow-credentials: true", "access-control-allow-methods: PUT",
			"access-control-allow-headers: x-1, x-2", "access-control-max-age: 5",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out message.Head
			if !corsRule(t, tt.c).Preflight(get("OPTIONS a /", tt.fields...).Head, &out) {
				t.Fatal("it is no preflight")
			}
			if got := fieldLines(&out); !slices.Equal(got, tt.want) || out.Status != 200 {
				t.Errorf("got %d %q, want 200 %q", out.Status, got, tt.want)
			}
		})
	}
	c := corsRule(t, list)
	for _, r := range []*Request{
		get("GET a /", "Origin: https://www.foo.com", "access-control-request-method: GET"),
		get("OPTIONS a /", "Origin: https://www.foo.com"),
		get("OPTIONS a /", "access-control-request-method: GET"),
	} {
		if c.Preflight(r.Head, &message.Head{}) {
			t.Errorf("%+v is taken for a preflight", r.Head)
		}
	}
}

func TestCORSMark(t *testing.T) {
	list := connect.CORS{AllowOrigins: []string{"https://www.foo.com"}, ExposeHeaders: []string{"x-1"}}
	withCredentials := list
	withCredentials.AllowCredentials = true
	tests := []struct {
		name     string
		c        connect.CORS
		from     string
		in, want []string
	}{
		{"allowed", list, "https://www.foo.com", nil, []string{"vary: Origin", "access-control-allow-origin: https://www.foo.com", "access-control-expose-headers: x-1"}},
		{"credentials", withCredentials, "https://www.foo.com", []string{"Vary: Accept , origin"}, []string{
			"Vary: Accept , origin", "access-control-allow-origin: https://www.foo.com", "access-control-allow-credentials: true", "access-control-expose-headers: x-1",
		}},
		{"the backend's word does not count", list, "https://www.foo.com", []string{"Access-Control-Allow-Origin: *", "Access-Control-Allow-Credentials: true", "Vary: *"}, []string{
			"access-control-allow-origin: https://www.foo.com", "Vary: *", "access-control-expose-headers: x-1",
		}},
		{"foreign", list, "https://foobar.com", []string{"Access-Control-Allow-Origin: *", "X: 1"}, []string{"X: 1", "vary: Origin"}},
		{"none", list, "", []string{"Vary: Original"}, []string{"Vary: Original", "vary: Origin"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := get("a /", tt.in...).Head
			corsRule(t, tt.c).Mark(tt.from, h)
			if got := fieldLines(h); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
