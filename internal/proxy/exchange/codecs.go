package exchange

import (
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/http1"
	"github.com/tatami-platform/tatami/internal/proxy/http2"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
)

// Speak gives the connection to the codec of its protocol. What was read from it
// by now is initial.
func (c *Conn) Speak(conn evloop.Conn, isHTTP2 bool, initial []byte) {
	o := c.options()
	if isHTTP2 {
		c.server = http2.NewServerConn(c.w.loop, conn, http2ServerOptions(o), c, initial)
	} else {
		c.server = http1.NewServerConn(c.w.loop, conn, http1ServerOptions(o), c, initial)
	}
	if c.w.retiring {
		c.member.asked = true
		c.server.Drain()
	}
}

// options are those of the listener that the connection was made to. Before its
// first request only SNI can tell which of several that is.
func (c *Conn) options() *connect.HTTPOptions {
	c.follow()
	if c.info.Encrypted {
		if l := c.listens.MatchStream(c.info.ServerName).Listener; l != nil {
			return &l.Config.HTTP
		}
	}
	return &c.listens.Listeners[0].Config.HTTP
}

// http1ServerOptions leave the size of bodies to the exchange, which knows the
// listener of each request.
func http1ServerOptions(o *connect.HTTPOptions) http1.ServerOptions {
	idle := o.IdleTimeout
	if idle == 0 {
		idle = time.Duration(defaultIdle)
	}
	return http1.ServerOptions{
		MaxHead: o.MaxHeaderBytes, MaxTarget: o.MaxURIBytes, MaxFields: o.MaxHeaders,
		HeaderTimeout: o.HeaderTimeout, IdleTimeout: idle, MaxRequests: o.MaxRequests,
	}
}

func http2ServerOptions(o *connect.HTTPOptions) http2.ServerOptions {
	idle := o.IdleTimeout
	if idle == 0 {
		idle = time.Duration(defaultIdle)
	}
	return http2.ServerOptions{
		MaxStreams: int(o.MaxStreams), MaxHeaderBytes: o.MaxHeaderBytes, MaxRequests: o.MaxRequests, IdleTimeout: idle,
	}
}

// codec speaks HTTP on a connection to one of the cluster's endpoints.
func (c *Cluster) codec(loop *evloop.Loop, conn evloop.Conn, isHTTP2 bool, owner stream.ClientOwner) stream.Client {
	if isHTTP2 {
		return http2.NewClientConn(loop, conn, http2.ClientOptions{}, owner)
	}
	return http1.NewClientConn(loop, conn, http1.ClientOptions{}, owner)
}
