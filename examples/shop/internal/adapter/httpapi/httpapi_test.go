package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tatami-platform/tatami/examples/shop/internal/adapter/httpapi"
	"github.com/tatami-platform/tatami/examples/shop/internal/adapter/memory"
	"github.com/tatami-platform/tatami/examples/shop/internal/app"
	"github.com/tatami-platform/tatami/examples/shop/internal/domain"
	"github.com/tatami-platform/tatami/examples/shop/internal/telemetry"
)

// shop is web and cart over real sockets, with a checkout that a test can set.
type shop struct {
	web      string
	carts    httpapi.CartClient
	checkout func(user domain.User, key string) (app.Receipt, error)
	registry *prometheus.Registry
	accepted prometheus.Counter
}

func (s *shop) Checkout(_ context.Context, user domain.User, key string) (app.Receipt, error) {
	return s.checkout(user, key)
}

func start(t *testing.T) *shop {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	s := &shop{registry: prometheus.NewRegistry(), accepted: prometheus.NewCounter(prometheus.CounterOpts{Name: "accepted"})}
	s.carts = httpapi.CartClient{Client: serve(t, httpapi.CartMux(memory.NewCarts(100, func() {})))}
	checkout := httpapi.CheckoutClient{Client: serve(t, httpapi.CheckoutMux(s, s.accepted))}
	mux, err := httpapi.WebMux(&app.Storefront{
		Catalog: memory.NewProducts(), Carts: s.carts, Cashier: checkout, Log: log,
	}, log)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(httpapi.Instrument(mux, telemetry.NewRequests(s.registry, "http"), log))
	t.Cleanup(server.Close)
	s.web = server.URL
	return s
}

func serve(t *testing.T, mux *http.ServeMux) *httpapi.Client {
	t.Helper()
	server := httptest.NewServer(httpapi.Instrument(mux, telemetry.NewRequests(prometheus.NewRegistry(), "http"), slog.New(slog.DiscardHandler)))
	client := httpapi.NewClient(server.URL, time.Second, 3)
	t.Cleanup(func() {
		client.Close()
		server.Close()
	})
	return client
}

// send makes a request and does not follow redirects.
func (s *shop) send(t *testing.T, method, path, kind, body string) (status int, answer string, header http.Header) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.web+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", kind)
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(data), response.Header
}

const (
	asJSON = "application/json"
	asForm = "application/x-www-form-urlencoded"
)

func TestRequests(t *testing.T) {
	s := start(t)
	s.checkout = func(user domain.User, _ string) (app.Receipt, error) {
		switch user {
		case "down":
			return app.Receipt{}, fmt.Errorf("queue: %w", app.ErrUnavailable)
		case "bug":
			return app.Receipt{}, errors.New("a secret detail")
		}
		return app.Receipt{}, domain.ErrCartEmpty
	}
	tests := []struct {
		name, method, path, kind, body string
		status                         int
		want                           string
	}{
		{"products", "GET", "/api/products", "", "", 200, `"price_nano_usd":24900000000,"price":"$24.90"`},
		{"page", "GET", "/", "", "", 200, "Ceremonial matcha"},
		{"page of a bad user", "GET", "/?user=%3Cb%3E", "", "", 400, `"code":"bad_name"`},
		{"no such page", "GET", "/nothing", "", "", 404, ""},
		{"wrong method", "DELETE", "/api/products", "", "", 405, ""},
		{"add", "POST", "/api/cart/ana/items", asJSON, `{"sku":"matcha","quantity":2}`, 200, `{"user":"ana","lines":[{"sku":"matcha","quantity":2}]}`},
		{"add too many", "POST", "/api/cart/ana/items", asJSON, `{"sku":"matcha","quantity":98}`, 400, "bad_quantity"},
		{"add none", "POST", "/api/cart/ana/items", asJSON, `{"sku":"matcha"}`, 400, "bad_quantity"},
		{"add what is not sold", "POST", "/api/cart/ana/items", asJSON, `{"sku":"hat","quantity":1}`, 404, "unknown_product"},
		{"add a bad name", "POST", "/api/cart/ana/items", asJSON, `{"sku":"../x","quantity":1}`, 400, "bad_name"},
		{"add for a bad user", "POST", "/api/cart/ANA/items", asJSON, `{"sku":"matcha","quantity":1}`, 400, "bad_name"},
		{"add garbage", "POST", "/api/cart/ana/items", asJSON, `{`, 400, "bad_request"},
		{"add a fraction", "POST", "/api/cart/ana/items", asJSON, `{"sku":"matcha","quantity":1.5}`, 400, "bad_request"},
		{"add with a typo", "POST", "/api/cart/ana/items", asJSON, `{"sku":"matcha","quantiti":1}`, 400, "bad_request"},
		{"add a lot", "POST", "/api/cart/ana/items", asJSON, `{"sku":"` + strings.Repeat("x", 20_000) + `"}`, 400, "bad_request"},
		{"check out nothing", "POST", "/api/checkout/ana", "", "", 409, "cart_empty"},
		{"check out for a bad user", "POST", "/api/checkout/A", "", "", 400, "bad_name"},
		{"check out with the queue down", "POST", "/api/checkout/down", "", "", 503, "unavailable"},
		{"our own fault", "POST", "/api/checkout/bug", "", "", 503, "internal error"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, answer, _ := s.send(t, tt.method, tt.path, tt.kind, tt.body)
			if status != tt.status || !strings.Contains(answer, tt.want) {
				t.Errorf("got %d %.200s, want %d with %s", status, answer, tt.status, tt.want)
			}
			if strings.Contains(answer, "secret") {
				t.Errorf("a detail leaked: %s", answer)
			}
		})
	}
	// Users' names and unknown paths must not become label values.
	count := testutil.CollectAndCount(s.registry, "shop_http_requests_total")
	if count == 0 || count > 12 {
		t.Errorf("%d time series for %d requests", count, len(tests))
	}
}

// TestPageAndForms is a purchase by a person without JavaScript.
func TestPageAndForms(t *testing.T) {
	s := start(t)
	var keys []string
	s.checkout = func(_ domain.User, key string) (app.Receipt, error) {
		keys = append(keys, key)
		return app.Receipt{Order: domain.Order{ID: "0123456789abcdef0123456789abcdef"}, Duplicate: len(keys) > 1}, nil
	}
	form := url.Values{"sku": {"tea-cup"}, "quantity": {"10"}}.Encode()
	status, _, header := s.send(t, "POST", "/api/cart/ana/items", asForm, form)
	if status != http.StatusSeeOther || header.Get("Location") != "/?notice=ok&user=ana" {
		t.Fatalf("add: %d to %s", status, header.Get("Location"))
	}
	_, page, header := s.send(t, "GET", header.Get("Location"), "", "")
	for _, want := range []string{"10 × Stoneware tea cup", "bulk: −$5.70", "$108.30", "Added to your cart", "Hello, ana"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if !strings.Contains(header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("policy %q", header.Get("Content-Security-Policy"))
	}
	_, after, _ := strings.Cut(page, `name="key" value="`)
	key, _, _ := strings.Cut(after, `"`)
	for range 2 { // A double click.
		status, _, header = s.send(t, "POST", "/api/checkout/ana", asForm, "key="+key)
		if status != http.StatusSeeOther || !strings.Contains(header.Get("Location"), "notice=ordered") {
			t.Fatalf("checkout: %d to %s", status, header.Get("Location"))
		}
	}
	if len(keys) != 2 || keys[0] != key || keys[1] != key || testutil.ToFloat64(s.accepted) != 1 {
		t.Errorf("keys %q, page's key %q, %g accepted", keys, key, testutil.ToFloat64(s.accepted))
	}
	if _, page, _ = s.send(t, "GET", header.Get("Location"), "", ""); !strings.Contains(page, "Your order is 0123456789abcdef") {
		t.Error("the page does not name the order")
	}
	if _, page, _ = s.send(t, "GET", "/?notice=ordered&order=%3Cscript%3E", "", ""); strings.Contains(page, "script") {
		t.Error("the page repeats what the address says")
	}
	_, _, header = s.send(t, "POST", "/api/cart/ana/items", asForm, "sku=tea-cup&quantity=many")
	if header.Get("Location") != "/?notice=bad_quantity&user=ana" {
		t.Errorf("bad form: %s", header.Get("Location"))
	}
	// A call without a key gets one, and never the same.
	s.send(t, "POST", "/api/checkout/ana", asJSON, "")
	s.send(t, "POST", "/api/checkout/ana", asJSON, "")
	if len(keys) != 4 || keys[2] == "" || keys[2] == keys[3] {
		t.Errorf("keys %q", keys)
	}
}

func TestCartClient(t *testing.T) {
	s := start(t)
	cart, err := s.carts.Add(t.Context(), "ana", domain.Line{SKU: "matcha", Quantity: 3})
	if err != nil || len(cart.Lines) != 1 {
		t.Fatalf("%v, %v", cart, err)
	}
	for range 2 {
		if err := s.carts.Settle(t.Context(), "ana", "o1", []domain.Line{{SKU: "matcha", Quantity: 1}}); err != nil {
			t.Fatal(err)
		}
	}
	cart, err = s.carts.Cart(t.Context(), "ana")
	if diff := cmp.Diff([]domain.Line{{SKU: "matcha", Quantity: 2}}, cart.Lines); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	if _, err := s.carts.Add(t.Context(), "ana", domain.Line{SKU: "matcha", Quantity: 98}); !errors.Is(err, domain.ErrBadQuantity) {
		t.Errorf("too many: %v", err)
	}
}

// TestRetries: only what is safe to repeat is repeated, and only where that may
// help.
func TestRetries(t *testing.T) {
	tests := []struct {
		name   string
		status int
		call   func(ctx context.Context, c *httpapi.Client) error
		want   int32
		err    error
	}{
		{"read", 503, func(ctx context.Context, c *httpapi.Client) error {
			_, err := httpapi.CartClient{Client: c}.Cart(ctx, "ana")
			return err
		}, 3, app.ErrUnavailable},
		{"settle", 502, func(ctx context.Context, c *httpapi.Client) error {
			return httpapi.CartClient{Client: c}.Settle(ctx, "ana", "o", nil)
		}, 3, app.ErrUnavailable},
		{"add", 503, func(ctx context.Context, c *httpapi.Client) error {
			_, err := httpapi.CartClient{Client: c}.Add(ctx, "ana", domain.Line{SKU: "cup", Quantity: 1})
			return err
		}, 1, app.ErrUnavailable},
		{"checkout with a key", 503, func(ctx context.Context, c *httpapi.Client) error {
			_, err := httpapi.CheckoutClient{Client: c}.Checkout(ctx, "ana", "k")
			return err
		}, 3, app.ErrUnavailable},
		{"checkout without a key", 503, func(ctx context.Context, c *httpapi.Client) error {
			_, err := httpapi.CheckoutClient{Client: c}.Checkout(ctx, "ana", "")
			return err
		}, 1, app.ErrUnavailable},
		{"refused", 409, func(ctx context.Context, c *httpapi.Client) error {
			_, err := httpapi.CheckoutClient{Client: c}.Checkout(ctx, "ana", "k")
			return err
		}, 1, domain.ErrCartEmpty},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				calls.Add(1)
				w.WriteHeader(tt.status)
				if tt.status == http.StatusConflict {
					_, _ = io.WriteString(w, `{"code":"cart_empty","message":"the cart is empty"}`)
				}
			}))
			defer server.Close()
			client := httpapi.NewClient(server.URL, time.Second, 3)
			defer client.Close()
			if err := tt.call(t.Context(), client); !errors.Is(err, tt.err) {
				t.Errorf("error %v, want %v", err, tt.err)
			}
			if calls.Load() != tt.want {
				t.Errorf("%d calls, want %d", calls.Load(), tt.want)
			}
		})
	}
}

// TestSlowServer: an attempt ends after its timeout, and all of them when the
// caller has had enough.
func TestSlowServer(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	client := httpapi.NewClient(server.URL, 50*time.Millisecond, 3)
	defer client.Close()
	start := time.Now()
	_, err := httpapi.CartClient{Client: client}.Cart(t.Context(), "ana")
	if took := time.Since(start); !errors.Is(err, app.ErrUnavailable) || took < 150*time.Millisecond || took > 5*time.Second {
		t.Errorf("%v after %s", err, took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err = (httpapi.CartClient{Client: client}).Cart(ctx, "ana"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the caller's deadline: %v", err)
	}
	if httpapi.Code(err) != "unavailable" || httpapi.Code(nil) != "ok" || httpapi.Code(errors.New("x")) != "internal" {
		t.Errorf("codes %s, %s", httpapi.Code(err), httpapi.Code(nil))
	}
}
