package front

import (
	"bytes"
	"crypto/tls"
	"errors"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/core/connect/route"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/exchange"
	"github.com/tatami-platform/tatami/internal/proxy/proxyproto"
	"github.com/tatami-platform/tatami/internal/proxy/tlsconn"
)

// Address is what is known about a listening address in one configuration.
type Address struct {
	Routes *route.Address
	// Snapshot is the configuration that they are of.
	Snapshot *exchange.Snapshot
	// TLS by listener name, for those that terminate it.
	TLS map[string]*tls.Config
}

// preface begins every HTTP/2 connection (RFC 9113, section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

const (
	defaultHeaderTimeout = 10 * time.Second
	// drainGrace in nanoseconds is what the codecs give as well.
	drainGrace = int64(time.Second)
)

// greeting is a connection of which nothing is known yet.
type greeting struct {
	loop  *evloop.Loop
	conn  evloop.Conn
	serve *Serve
	addr  *Address
	buf   []byte
	have  int
	timer evloop.Timer
	step  func(*greeting) (more bool)
	end   func() // told once, when the connection is gone

	member  exchange.Member
	shaking evloop.Conn // the handshake that is under way
	asked   bool        // to drain
}

// Serve says where a connection goes once it is known what it speaks.
type Serve struct {
	Worker  *exchange.Worker
	Address *Address
	// Name of the address, as the routes have it.
	Name string
	// Closed is called when the connection is gone.
	Closed func()
	// Handshake is told of every TLS handshake.
	Handshake func(error)
	// Handshaker does TLS handshakes.
	Handshaker *tlsconn.Handshaker
}

// Accept looks at a new connection and hands it on.
func Accept(loop *evloop.Loop, conn evloop.Conn, s *Serve) {
	g := &greeting{loop: loop, conn: conn, serve: s, addr: s.Address, end: s.Closed}
	first := g.addr.Routes.Listeners[0].Config
	switch {
	case first.ProxyProtocol:
		g.step = (*greeting).proxyHeader
	default:
		g.step = g.firstStep()
	}
	if g.step == nil {
		g.tunnel("", nil)
		return
	}
	g.member.Address, g.member.Owner = s.Name, g
	s.Worker.Join(&g.member)
	g.timer.Func = g.close
	timeout := first.HTTP.HeaderTimeout
	if timeout == 0 {
		timeout = defaultHeaderTimeout
	}
	loop.After(int64(timeout), &g.timer)
	conn.Handle(g)
	g.Readable()
}

// firstStep is what the listeners' protocol asks for; nil: nothing is to be read.
func (g *greeting) firstStep() func(*greeting) bool {
	for _, l := range g.addr.Routes.Listeners {
		switch l.Config.Protocol {
		case connect.ProtocolHTTPS, connect.ProtocolTLS:
			return (*greeting).hello
		case connect.ProtocolTCP:
			return nil
		case connect.ProtocolHTTP:
		}
	}
	return (*greeting).httpVersion
}

// Readable reads what there is and goes on with it.
func (g *greeting) Readable() {
	for {
		if g.buf == nil {
			g.buf = g.loop.Buffer(evloop.SmallBuffer)
		}
		if g.have == len(g.buf) && !g.grow() {
			g.close()
			return
		}
		n, err := g.conn.Read(g.buf[g.have:])
		if errors.Is(err, evloop.ErrAgain) {
			if g.have == 0 {
				g.loop.Release(g.buf)
				g.buf = nil
			}
			return
		}
		if err != nil {
			g.close()
			return
		}
		g.have += n
		if !g.step(g) {
			return
		}
	}
}

// grow makes room for a greeting that does not fit; false: none is that long.
func (g *greeting) grow() bool {
	if len(g.buf) >= evloop.LargeBuffer {
		return false
	}
	bigger := g.loop.Buffer(evloop.LargeBuffer)
	copy(bigger, g.buf[:g.have])
	g.loop.Release(g.buf)
	g.buf = bigger
	return true
}

// Writable is not waited for.
func (g *greeting) Writable() {}

// Hangup: the client is gone.
func (g *greeting) Hangup(error) { g.close() }

// Drain gives a client that has said nothing yet a moment to do so, for its first
// request may be on its way; a handshake goes on, and what follows drains.
func (g *greeting) Drain() {
	g.asked = true
	if g.have == 0 && g.shaking == nil {
		g.loop.After(drainGrace, &g.timer)
	}
}

// Close ends the connection at once.
func (g *greeting) Close() { g.close() }

func (g *greeting) close() {
	g.member.Leave()
	g.timer.Stop()
	g.free()
	if g.shaking != nil {
		g.shaking.Close()
		g.shaking = nil
	}
	g.conn.Close()
	if g.end != nil {
		g.end()
		g.end = nil
	}
}

func (g *greeting) free() {
	g.loop.Release(g.buf)
	g.buf, g.have = nil, 0
}

// next goes on with another step on what is there already.
func (g *greeting) next(step func(*greeting) bool) bool {
	g.step = step
	if step == nil {
		g.tunnel("", g.buf[:g.have])
		return false
	}
	if g.have == 0 {
		return true
	}
	return step(g)
}

// proxyHeader takes off the PROXY protocol header.
func (g *greeting) proxyHeader() bool {
	h, n, err := proxyproto.Parse(g.buf[:g.have])
	if errors.Is(err, proxyproto.ErrMore) {
		return true
	}
	if err != nil {
		g.close()
		return false
	}
	g.have = copy(g.buf, g.buf[n:g.have])
	if h.Source.IsValid() {
		g.conn.Info().Remote = h.Source
		g.conn.Info().Local = h.Destination
	}
	return g.next(g.firstStep())
}

// hello looks at the TLS greeting for the name of the host.
func (g *greeting) hello() bool {
	sni, _, need, err := tlsconn.PeekSNI(g.buf[:g.have])
	switch {
	case err != nil:
		g.serve.Handshake(err)
		g.close()
		return false
	case need:
		return true
	}
	res := g.addr.Routes.MatchStream(sni)
	if res.Listener == nil {
		g.serve.Handshake(errNoListener)
		g.close()
		return false
	}
	config := g.addr.TLS[res.Listener.Config.Name]
	if config == nil {
		g.tunnel(sni, g.buf[:g.have])
		return false
	}
	g.terminate(config, res)
	return false
}

var errNoListener = errors.New("no listener takes this server name")

// terminate does the handshake.
func (g *greeting) terminate(config *tls.Config, res route.StreamResult) {
	initial := bytes.Clone(g.buf[:g.have])
	g.free()
	g.timer.Stop()
	g.shaking = g.serve.Handshaker.Server(g.loop, &replay{Conn: g.conn, first: initial}, config, func(conn evloop.Conn, err error) {
		g.shaking = nil
		g.serve.Handshake(err)
		if err != nil {
			g.close()
			return
		}
		g.conn = conn
		if res.Listener.Config.Protocol == connect.ProtocolTLS {
			g.tunnelTo(res.Stream, nil)
			return
		}
		g.http(conn.Info().ALPN == "h2", nil)
	})
}

// httpVersion tells HTTP/2 with prior knowledge from HTTP/1.1.
func (g *greeting) httpVersion() bool {
	got := g.buf[:g.have]
	n := min(len(got), len(preface))
	if string(got[:n]) != preface[:n] {
		g.http(false, got)
		return false
	}
	if n < len(preface) {
		return true
	}
	g.http(true, got)
	return false
}

// http gives the connection to a codec.
func (g *greeting) http(http2 bool, initial []byte) {
	g.member.Leave()
	g.timer.Stop()
	buf := g.buf
	g.buf = nil
	c := g.serve.Worker.Accept(g.serve.Name, g.addr.Snapshot, g.conn.Info(), g.end)
	g.end = nil
	c.Speak(g.conn, http2, initial)
	if g.asked {
		c.Drain()
	}
	g.loop.Release(buf)
}

// tunnel finds the stream route of a connection and joins it with a backend.
func (g *greeting) tunnel(sni string, initial []byte) {
	g.tunnelTo(g.addr.Routes.MatchStream(sni).Stream, initial)
}

func (g *greeting) tunnelTo(s *route.Stream, initial []byte) {
	if s == nil {
		g.close()
		return
	}
	g.member.Leave()
	g.timer.Stop()
	end := g.end
	g.end = nil
	g.serve.Worker.Tunnel(exchange.Inbound{
		Address: g.serve.Name, Conn: g.conn, Initial: bytes.Clone(initial), Route: s, Snapshot: g.addr.Snapshot, Closed: end,
	})
	g.free()
}

// replay is a connection of which the first bytes were read already.
type replay struct {
	evloop.Conn
	first []byte
}

// Reset ends the connection below as it can.
func (r *replay) Reset() { evloop.Reset(r.Conn) }

// Read gives the first bytes first.
func (r *replay) Read(p []byte) (int, error) {
	if len(r.first) > 0 {
		n := copy(p, r.first)
		r.first = r.first[n:]
		return n, nil
	}
	return r.Conn.Read(p)
}
