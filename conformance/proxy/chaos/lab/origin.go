package lab

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

// The fields that tell an origin what to answer.
const (
	HeaderID   = "X-Id"   // hexadecimal
	HeaderSize = "X-Size" // bytes of the answer's body
	// HeaderLie marks answers whose body is shorter than the origin meant, in a way
	// that no client could see.
	HeaderLie = "X-Lie"
)

// Call is a request that came to an origin.
type Call struct {
	Origin *Origin
	Conn   net.Conn
	In     *bufio.Reader
	Out    *bufio.Writer
	Req    *http.Request
	ID     uint64
	Size   int
	// Buf may be used for anything.
	Buf []byte
}

// Behaviour answers a call and says whether the connection may be used again. It
// may do anything else with it.
type Behaviour func(c *Call) (keep bool)

// Origin is an HTTP/1.1 server over plain TCP that can be told to misbehave.
type Origin struct {
	Addr   string
	Bodies *Bodies

	ln       net.Listener
	behave   atomic.Pointer[Behaviour]
	wg       sync.WaitGroup
	closing  atomic.Bool
	Requests atomic.Int64
	// Active is how many calls are being answered.
	Active atomic.Int64
	// Accepted counts connections.
	Accepted atomic.Int64

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	// bad is the first request whose body was not what the client sent.
	bad error
}

// NewOrigin starts an origin that ends with the test.
func NewOrigin(tb testing.TB, bodies *Bodies, b Behaviour) *Origin {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a listener that the test closes
	if err != nil {
		tb.Fatal(err)
	}
	o := &Origin{Addr: ln.Addr().String(), Bodies: bodies, ln: ln, conns: map[net.Conn]struct{}{}}
	o.Behave(b)
	o.wg.Go(o.accept)
	tb.Cleanup(o.Close)
	return o
}

// Behave changes what it does from the next request on.
func (o *Origin) Behave(b Behaviour) { o.behave.Store(&b) }

// Bad is what was wrong with the first wrong request, nil when none was.
func (o *Origin) Bad() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bad
}

// CloseConns resets all connections.
func (o *Origin) CloseConns() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for c := range o.conns {
		reset(c)
	}
}

func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// Close ends it, in the middle of whatever it does.
func (o *Origin) Close() {
	if o.closing.Swap(true) {
		return
	}
	_ = o.ln.Close()
	o.mu.Lock()
	for c := range o.conns {
		_ = c.Close()
	}
	o.mu.Unlock()
	o.wg.Wait()
}

func (o *Origin) accept() {
	for {
		c, err := o.ln.Accept()
		if err != nil {
			return
		}
		o.Accepted.Add(1)
		o.mu.Lock()
		o.conns[c] = struct{}{}
		o.mu.Unlock()
		if o.closing.Load() {
			_ = c.Close()
		}
		o.wg.Go(func() {
			o.serve(c)
			o.mu.Lock()
			delete(o.conns, c)
			o.mu.Unlock()
			_ = c.Close()
		})
	}
}

func (o *Origin) serve(conn net.Conn) {
	c := &Call{Origin: o, Conn: conn, In: bufio.NewReaderSize(conn, 4<<10), Out: bufio.NewWriterSize(conn, 8<<10)}
	for {
		req, err := http.ReadRequest(c.In)
		if err != nil {
			return
		}
		c.Req = req
		c.ID, _ = strconv.ParseUint(req.Header.Get(HeaderID), 16, 64)
		c.Size, _ = strconv.Atoi(req.Header.Get(HeaderSize))
		o.Requests.Add(1)
		o.Active.Add(1)
		keep := (*o.behave.Load())(c)
		o.Active.Add(-1)
		if !keep {
			return
		}
	}
}

// ReadBody reads the request's body and notes when it is not what was sent.
func (c *Call) ReadBody() error {
	body, err := io.ReadAll(c.Req.Body)
	if err == nil && len(body) > 0 {
		err = c.Origin.Bodies.Check(c.ID, body)
	}
	if errors.Is(err, ErrBody) {
		c.Origin.mu.Lock()
		if c.Origin.bad == nil {
			c.Origin.bad = err
		}
		c.Origin.mu.Unlock()
	}
	return err
}

// Well answers as an origin should; every third answer is chunked.
func Well(c *Call) bool {
	if c.ReadBody() != nil {
		return false
	}
	b := append(c.Buf[:0], "HTTP/1.1 200 OK\r\n"...)
	if c.ID%3 == 0 {
		b = append(b, "Transfer-Encoding: chunked\r\n\r\n"...)
		body := len(b)
		b = c.Origin.Bodies.Append(b, c.ID, c.Size)
		c.write(b[:body])
		c.chunks(b[body:])
	} else {
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, int64(max(c.Size, MinBody)), 10)
		b = append(b, "\r\n\r\n"...)
		b = c.Origin.Bodies.Append(b, c.ID, c.Size)
		c.write(b)
	}
	c.Buf = b
	return c.Out.Flush() == nil
}

func (c *Call) write(p []byte) { _, _ = c.Out.Write(p) }

// chunks writes p as a chunked body of two chunks.
func (c *Call) chunks(p []byte) {
	for _, part := range [][]byte{p[:len(p)/2], p[len(p)/2:]} {
		c.write(strconv.AppendInt(nil, int64(len(part)), 16))
		c.write([]byte("\r\n"))
		c.write(part)
		c.write([]byte("\r\n"))
	}
	c.write([]byte("0\r\n\r\n"))
}
