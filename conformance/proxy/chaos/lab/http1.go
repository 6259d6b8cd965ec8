package lab

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"
)

// HTTP1 is a client of one connection at a time.
type HTTP1 struct {
	// Addr is asked at each new connection.
	Addr   func() string
	Bodies *Bodies
	// Fresh makes a connection for each request.
	Fresh bool
	// Wait bounds a request.
	Wait time.Duration
	// TLS is nil for plain text.
	TLS *tls.Config

	conn net.Conn
	in   *bufio.Reader
	used bool
	buf  []byte
	body []byte
}

// Close ends the connection.
func (c *HTTP1) Close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// errStale: the server closed a connection that it had answered on before, and
// gave no byte of an answer.
var errStale = errors.New("closed before an answer")

// Do sends the request, once more if the connection turns out to be closed and
// the request is idempotent.
func (c *HTTP1) Do(r Request) Outcome {
	o := c.do(r)
	if errors.Is(o.Err, errStale) && r.Post == 0 {
		o = c.do(r)
		o.Stale = true
	}
	if c.Fresh {
		c.Close()
	}
	return o
}

func (c *HTTP1) do(r Request) Outcome {
	if err := c.connect(); err != nil {
		return Outcome{Err: fmt.Errorf("connect: %w", bare(err))}
	}
	used := c.used
	c.used = true
	o := c.ask(r)
	if o.Err != nil {
		c.Close()
		if used && o.Status == 0 && gone(o.Err) {
			o.Err = errStale
		}
	}
	return o
}

// bare drops addresses, so that errors of one kind are counted as one.
func bare(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}

func gone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrUnexpectedEOF)
}

func (c *HTTP1) connect() error {
	if c.conn != nil {
		return nil
	}
	conn, err := Dial(c.Addr())
	if err != nil {
		return err
	}
	if c.TLS != nil {
		secure := tls.Client(conn, c.TLS)
		_ = conn.SetDeadline(time.Now().Add(c.wait()))
		if err := secure.Handshake(); err != nil { //nolint:noctx // the connection has a deadline
			_ = conn.Close()
			return fmt.Errorf("handshake: %w", bare(err))
		}
		conn = secure
	}
	c.conn, c.used = conn, false
	if c.in == nil {
		c.in = bufio.NewReaderSize(conn, 8<<10)
	}
	c.in.Reset(conn)
	return nil
}

func (c *HTTP1) ask(r Request) Outcome {
	_ = c.conn.SetDeadline(time.Now().Add(c.wait()))
	c.buf = c.appendRequest(c.buf[:0], r)
	if _, err := c.conn.Write(c.buf); err != nil && !gone(err) {
		return Outcome{Err: fmt.Errorf("write: %w", bare(err))}
	}
	if _, err := c.in.Peek(1); err != nil {
		return Outcome{Err: fmt.Errorf("no answer: %w", bare(err))}
	}
	return c.answer(r)
}

// answer reads the final answer.
func (c *HTTP1) answer(r Request) Outcome {
	resp, err := final(c.in)
	if err != nil {
		return Outcome{Status: -1, Err: fmt.Errorf("head of the answer: %w", bare(err))}
	}
	defer resp.Body.Close()
	o := Outcome{Status: resp.StatusCode, Lie: resp.Header.Get(HeaderLie) != ""}
	c.body, err = appendAll(c.body[:0], resp.Body)
	if resp.Close || c.in.Buffered() > 0 {
		c.Close()
	}
	switch {
	case err != nil:
		o.Err = fmt.Errorf("status %d, broken off in the body: %w", o.Status, bare(err))
	case o.Status == 200 && !o.Lie:
		o.Err = c.Bodies.Check(r.ID, c.body)
	}
	return o
}

// final skips informational answers.
func final(r *bufio.Reader) (*http.Response, error) {
	for {
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, err
		}
		_ = resp.Body.Close() // there is none
	}
}

func (c *HTTP1) wait() time.Duration {
	if c.Wait > 0 {
		return c.Wait
	}
	return Patience
}

func (c *HTTP1) appendRequest(b []byte, r Request) []byte {
	method := "GET "
	if r.Post > 0 {
		method = "POST "
	}
	b = append(b, method...)
	b = append(b, r.Path...)
	b = append(b, " HTTP/1.1\r\nHost: load.example\r\n"+HeaderID+": "...)
	b = strconv.AppendUint(b, r.ID, 16)
	b = append(b, "\r\n"+HeaderSize+": "...)
	b = strconv.AppendInt(b, int64(r.Size), 10)
	if r.Post > 0 {
		b = append(b, "\r\nContent-Length: "...)
		b = strconv.AppendInt(b, int64(max(r.Post, MinBody)), 10)
	}
	b = append(b, "\r\n\r\n"...)
	if r.Post > 0 {
		b = c.Bodies.Append(b, r.ID, r.Post)
	}
	return b
}

func appendAll(dst []byte, r io.Reader) ([]byte, error) {
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if errors.Is(err, io.EOF) {
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
	}
}
