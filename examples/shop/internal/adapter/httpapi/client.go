package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/tatami-platform/tatami/examples/shop/internal/app"
	"github.com/tatami-platform/tatami/examples/shop/internal/wire"
)

const (
	firstBackoff = 50 * time.Millisecond
	maxAnswer    = 1 << 20
)

// Client calls another role over HTTP.
type Client struct {
	base     string
	timeout  time.Duration
	attempts int
	http     *http.Client
}

// NewClient calls the role at a base URL. Each attempt has the timeout; calls
// that are safe to repeat get up to the given number of attempts.
func NewClient(base string, timeout time.Duration, attempts int) *Client {
	transport := &http.Transport{
		MaxIdleConnsPerHost: 32,
		IdleConnTimeout:     30 * time.Second,
		// No proxy from the environment: these calls never leave the shop.
	}
	return &Client{
		base: base, timeout: timeout, attempts: attempts,
		http: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

type call struct {
	method, path string
	// key makes a POST safe to repeat.
	key string
	// in is sent as JSON, out is filled from JSON; nil for none.
	in, out any
}

// repeatable holds for what HTTP calls idempotent, and for what carries a key.
func (c call) repeatable() bool { return c.method != http.MethodPost || c.key != "" }

func (c *Client) do(ctx context.Context, call call) error {
	body, err := json.Marshal(call.in)
	if err != nil {
		return fmt.Errorf("encode %s: %w", call.path, err)
	}
	backoff := firstBackoff
	for attempt := 1; ; attempt++ {
		err = c.once(ctx, call, body)
		if !errors.Is(err, app.ErrUnavailable) || !call.repeatable() || attempt >= c.attempts {
			return err
		}
		// Jitter keeps callers that failed together from coming back together.
		pause := time.NewTimer(backoff/2 + rand.N(backoff))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return err
		}
		backoff *= 2
	}
}

func (c *Client) once(ctx context.Context, call call, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, call.method, c.base+call.path, nil)
	if err != nil {
		return fmt.Errorf("request %s: %w", call.path, err)
	}
	if call.in != nil {
		request.Body = io.NopCloser(bytes.NewReader(body))
		request.ContentLength = int64(len(body))
		request.Header.Set("Content-Type", "application/json")
	}
	if call.key != "" {
		request.Header.Set(keyHeader, call.key)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("%w: %w", app.ErrUnavailable, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%w: read answer of %s %s: %w", app.ErrUnavailable, call.method, call.path, err)
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return refusal(response.StatusCode, answer)
	}
	if call.out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, call.out); err != nil {
		return fmt.Errorf("answer of %s %s: %w", call.method, call.path, err)
	}
	return nil
}

func refusal(status int, answer []byte) error {
	var told wire.Error
	if err := json.Unmarshal(answer, &told); err != nil || told.Code == "" {
		told = wire.Error{Message: fmt.Sprintf("status %d", status)}
	}
	return fromWire(told)
}
