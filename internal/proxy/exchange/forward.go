package exchange

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/record"
)

// via is our pseudonym; RFC 9110, section 7.6.3 asks a gateway to add it to
// requests.
const via = "tatami"

// forwarded notes in the request where it came from.
func (x *Exchange) forwarded() {
	h := x.head
	x.forwardedFor()
	proto := "http"
	if x.conn.info.Encrypted {
		proto = "https"
	}
	if before, ok := h.Get(message.IDXForwardedProto, ""); ok && x.listener.HTTP.ForwardedHops > 0 && (before == "http" || before == "https") {
		proto = before // a proxy that is trusted has ended the client's TLS
	}
	h.Remove(message.IDXForwardedProto, "")
	h.Add(message.IDXForwardedProto, "x-forwarded-proto", proto)
	version := "1.1 " + via
	switch h.Version {
	case message.HTTP10:
		version = "1.0 " + via
	case message.HTTP2:
		version = "2.0 " + via
	case message.HTTP11:
	}
	h.Add(message.IDVia, "via", version)
}

// forwardedFor puts the client's address behind the hops that are trusted; what
// stands before them anybody may have written.
func (x *Exchange) forwardedFor() {
	h := x.head
	client := x.conn.clientIP()
	hops := x.listener.HTTP.ForwardedHops
	if hops == 0 {
		h.Remove(message.IDXForwardedFor, "")
		if client != "" {
			h.Add(message.IDXForwardedFor, "x-forwarded-for", client)
		}
		return
	}
	var all []string
	for i := range h.Fields {
		if h.Fields[i].ID == message.IDXForwardedFor {
			for part := range strings.SplitSeq(h.Fields[i].Value, ",") {
				all = append(all, strings.TrimSpace(part))
			}
		}
	}
	if len(all) > hops {
		all = all[len(all)-hops:]
	}
	if len(all) > 0 {
		if ip, err := netip.ParseAddr(all[0]); err == nil {
			x.rec.Client = netip.AddrPortFrom(ip, 0)
		}
	}
	if client != "" { // Unix sockets have no address
		all = append(all, client)
	}
	h.Remove(message.IDXForwardedFor, "")
	if len(all) > 0 {
		h.Add(message.IDXForwardedFor, "x-forwarded-for", strings.Join(all, ", "))
	}
}

// lastHop counts Max-Forwards down, which OPTIONS and TRACE have so that a chain of
// proxies can be looked at (RFC 9110, section 7.6.2). True: we were meant, and have
// answered.
func (x *Exchange) lastHop() bool {
	h := x.head
	if h.Method != "OPTIONS" && h.Method != "TRACE" {
		return false
	}
	for i := range h.Fields {
		f := &h.Fields[i]
		if f.ID != message.IDOther || !message.EqualFold(f.Name, "max-forwards") {
			continue
		}
		n, err := strconv.ParseUint(f.Value, 10, 31)
		switch {
		case err != nil: // nothing that we know how to count
		case n > 0:
			f.Value = strconv.FormatUint(n-1, 10)
		case h.Method == "TRACE":
			// Not reflected: scripts could read credentials in it.
			x.reply(localReply{status: 405, flags: record.Denied, why: "TRACE is not answered here"})
			return true
		default:
			x.reply(localReply{status: 200, flags: record.Direct})
			return true
		}
	}
	return false
}
