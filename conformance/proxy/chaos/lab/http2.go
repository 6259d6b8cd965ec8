package lab

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"time"
)

// HTTP2 makes clients that share connections, as workers of one program do: Go's
// own client, in plain text, or over TLS when there is a configuration.
type HTTP2 struct {
	Addr   func() string
	Bodies *Bodies
	TLS    *tls.Config
	Wait   time.Duration
}

// Transport is shared by the clients that New makes.
func (h *HTTP2) Transport() *http.Transport {
	tr := &http.Transport{
		Protocols: new(http.Protocols), TLSClientConfig: h.TLS,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, h.Addr()) },
	}
	tr.Protocols.SetHTTP2(h.TLS != nil)
	tr.Protocols.SetUnencryptedHTTP2(h.TLS == nil)
	return tr
}

// New makes a client.
func (h *HTTP2) New(tr *http.Transport) Client {
	scheme := "http"
	if h.TLS != nil {
		scheme = "https"
	}
	return &http2Client{HTTP2: h, tr: tr, base: scheme + "://load.example"}
}

type http2Client struct {
	*HTTP2
	tr   *http.Transport
	base string
	body []byte
}

// Close ends connections that are idle.
func (c *http2Client) Close() { c.tr.CloseIdleConnections() }

// Do sends a request. The transport sends it again where the server says that it
// did not see it, which is what HTTP/2 asks of clients.
func (c *http2Client) Do(r Request) Outcome {
	wait := c.Wait
	if wait == 0 {
		wait = Patience
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	method := http.MethodGet
	var body io.Reader
	if r.Post > 0 {
		method = http.MethodPost
		body = bytes.NewReader(c.Bodies.Append(nil, r.ID, r.Post))
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+r.Path, body)
	if err != nil {
		return Outcome{Err: err}
	}
	req.Header[HeaderID] = []string{strconv.FormatUint(r.ID, 16)}
	req.Header[HeaderSize] = []string{strconv.Itoa(r.Size)}
	resp, err := c.tr.RoundTrip(req)
	if err != nil {
		return Outcome{Err: fmt.Errorf("no answer: %w", anonymous(err))}
	}
	defer resp.Body.Close()
	return c.judge(r, resp)
}

func (c *http2Client) judge(r Request, resp *http.Response) Outcome {
	var err error
	o := Outcome{Status: resp.StatusCode, Lie: resp.Header.Get(HeaderLie) != ""}
	c.body, err = appendAll(c.body[:0], resp.Body)
	switch {
	case err != nil:
		o.Err = fmt.Errorf("status %d, broken off in the body: %w", o.Status, anonymous(err))
	case resp.ProtoMajor != 2:
		o.Err = fmt.Errorf("the answer came in %s", resp.Proto)
	case o.Status == 200 && !o.Lie:
		o.Err = c.Bodies.Check(r.ID, c.body)
	}
	return o
}

var number = regexp.MustCompile(`[0-9]+`)

// anonymous drops stream numbers and addresses.
func anonymous(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return errors.New(number.ReplaceAllString(err.Error(), "N"))
}
