package health

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/tatami-platform/tatami/internal/core/connect"
)

// maxBody is how much of a body is read so that the connection can be kept.
const maxBody = 64 << 10

// http1 speaks HTTP/1.1. Unlike net/http's transport it needs no goroutine and no
// buffer between two checks.
type http1 struct {
	net.Conn
	used bool
}

func (c *http1) ask(t *target, o *Options) (bool, error) {
	if t.check.Protocol != connect.CheckHTTP {
		return false, fmt.Errorf("the endpoint does not offer HTTP/2: %w", ErrUnhealthy)
	}
	target, err := url.ParseRequestURI(t.check.Path)
	if err != nil {
		return false, fmt.Errorf("path of the health check: %w", err)
	}
	req := &http.Request{
		Method: http.MethodGet, URL: target, Host: t.authority(), ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"User-Agent": {o.UserAgent}},
	}
	if err := req.Write(c.Conn); err != nil {
		return false, err
	}
	r := bufio.NewReaderSize(c.Conn, 1024)
	resp, err := readFinal(r, req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusRequestTimeout && c.used {
		return false, errIdle
	}
	c.used = true
	n, err := io.Copy(io.Discard, io.LimitReader(resp.Body, maxBody+1))
	reusable := err == nil && n <= maxBody && !resp.Close && r.Buffered() == 0
	if !t.expects(resp.StatusCode) {
		return reusable, fmt.Errorf("status %d: %w", resp.StatusCode, ErrUnhealthy)
	}
	return reusable, err
}

// errIdle: the endpoint said, before it saw the request, that none came for too
// long. The check is repeated on a new connection.
var errIdle = errors.New("connection closed by the endpoint for being idle")

// maxInterim bounds the answers of 1xx before the final one.
const maxInterim = 8

// readFinal reads the first answer that is not of 1xx.
func readFinal(r *bufio.Reader, req *http.Request) (*http.Response, error) {
	for range maxInterim {
		resp, err := http.ReadResponse(r, req)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, nil
		}
	}
	return nil, fmt.Errorf("more than %d interim answers: %w", maxInterim, ErrUnhealthy)
}
