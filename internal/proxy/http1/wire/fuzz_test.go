package wire_test

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/proxy/http1/smuggling"
	"github.com/tatami-platform/tatami/internal/proxy/http1/wire"
)

func seed(f *testing.F) {
	f.Helper()
	cases, err := smuggling.Cases()
	if err != nil {
		f.Fatal(err)
	}
	for _, c := range cases {
		f.Add([]byte(c.Raw))
	}
	f.Add([]byte(browserHead))
}

// decode takes a body out of p in pieces; ok is false when it is malformed or not
// complete.
func decode(f *wire.Framing, p []byte, piece int) (body []byte, ok bool) {
	var b wire.Body
	b.Start(f, limits())
	at := 0
	for end := min(piece, len(p)); !b.Ended(); {
		data, n, fault := b.Next(p[at:end])
		if fault != wire.None {
			return nil, false
		}
		body = append(body, data...)
		if at += n; n > 0 {
			continue
		}
		if end == len(p) {
			return body, false
		}
		end = min(end+piece, len(p))
	}
	return body, true
}

// FuzzRequest: what we accept the standard library accepts too, and reads in the
// same way; and it does not matter in what pieces it comes.
func FuzzRequest(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		p := wire.Parser{Limits: limits()}
		var h message.Head
		var framing wire.Framing
		n, fault := p.Request(data, &h, &framing)
		inPieces(t, data, n, fault)
		if fault != wire.None || n == 0 {
			return
		}
		sameRequest(t, data, n, &h, &framing)
	})
}

func inPieces(t *testing.T, data []byte, n int, fault wire.Fault) {
	t.Helper()
	p := wire.Parser{Limits: limits()}
	var h message.Head
	var framing wire.Framing
	for k := range len(data) {
		got, f := p.Request(data[:k+1], &h, &framing)
		if f != wire.None {
			if fault == wire.None {
				t.Fatalf("%q: fault %s only in pieces", data, f)
			}
			return
		}
		if got > 0 {
			if got != n {
				t.Fatalf("%q: %d bytes in pieces, %d at once", data, got, n)
			}
			return
		}
	}
	// What is wrong in a line that is not complete is seen later in pieces.
	if n > 0 {
		t.Fatalf("%q: %d bytes at once, none in pieces", data, n)
	}
}

func sameRequest(t *testing.T, data []byte, n int, h *message.Head, framing *wire.Framing) {
	t.Helper()
	theirs := data
	if data[0] == '\r' {
		theirs = data[2:] // the empty line that we ignore
	}
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(theirs)))
	if err != nil {
		t.Fatalf("accepted, net/http says %v: %q", err, data)
	}
	switch {
	case req.Method != h.Method:
		t.Fatalf("method %q, net/http %q", h.Method, req.Method)
	case req.Host != h.Authority:
		t.Fatalf("authority %q, net/http %q: %q", h.Authority, req.Host, data)
	case h.Method != "CONNECT" && h.Path != "*" && !strings.HasSuffix(req.RequestURI, strings.TrimPrefix(h.Path, "/")):
		t.Fatalf("path %q, net/http %q", h.Path, req.RequestURI)
	}
	sameFields(t, h, req.Header)
	if framing.Kind == wire.Tunnel || len(req.Header["Upgrade"]) > 0 || h.Method == "PRI" {
		return
	}
	ours, whole := decode(framing, data[n:], len(data))
	if framing.Kind == wire.NoBody {
		ours, whole = nil, true
	}
	if !whole {
		return
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		// Trailers are read by other rules there; the chunks must agree.
		if framing.Kind != wire.Chunked || !strings.Contains(err.Error(), "MIME header") && !strings.Contains(err.Error(), "trailer") {
			t.Fatalf("body accepted, net/http says %v: %q", err, data)
		}
		return
	}
	if !bytes.Equal(body, ours) {
		t.Fatalf("body %q, net/http %q: %q", ours, body, data)
	}
}

func sameFields(t *testing.T, h *message.Head, theirs http.Header) {
	t.Helper()
	ours := http.Header{}
	for _, f := range h.Fields {
		if f.ID != message.IDTE && f.ID != message.IDTrailer {
			key := textproto.CanonicalMIMEHeaderKey(f.Name)
			ours[key] = append(ours[key], f.Value)
		}
	}
	for key, values := range ours {
		if !slices.Equal(values, theirs[key]) {
			t.Fatalf("%s: %q, net/http %q", key, values, theirs[key])
		}
	}
}

// FuzzResponse: what we accept of a backend, the standard library does too.
func FuzzResponse(f *testing.F) {
	f.Add([]byte(smallAnswer + "ok"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n\r\n"))
	f.Add([]byte("HTTP/1.0 404\r\nConnection: a, b\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p := wire.Parser{Limits: limits()}
		var h message.Head
		var framing wire.Framing
		n, fault := p.Response(data, &h, &framing, wire.AskedOther)
		if fault != wire.None || n == 0 {
			return
		}
		res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(data)), nil)
		if err != nil {
			t.Fatalf("accepted, net/http says %v: %q", err, data)
		}
		defer res.Body.Close()
		if res.StatusCode != h.Status {
			t.Fatalf("status %d, net/http %d", h.Status, res.StatusCode)
		}
		sameFields(t, &h, res.Header)
		ours, whole := decode(&framing, data[n:], len(data))
		if !whole || framing.Kind == wire.NoBody {
			return
		}
		if body, err := io.ReadAll(res.Body); err == nil && !bytes.Equal(body, ours) {
			t.Fatalf("body %q, net/http %q: %q", ours, body, data)
		}
	})
}

// FuzzChunks: pieces do not matter, and the standard library reads the same.
func FuzzChunks(f *testing.F) {
	for _, s := range []string{"3\r\nabc\r\n0\r\n\r\n", "3;x=y\r\nabc\r\n0\r\nA: b\r\n\r\n", "a\r\n0123456789\r\n00\r\n\r\n", "0\r\n\r\n"} {
		f.Add([]byte(s), byte(1))
	}
	f.Fuzz(func(t *testing.T, data []byte, piece byte) {
		framing := wire.Framing{Kind: wire.Chunked}
		whole, ok := decode(&framing, data, len(data)+1)
		parts, okParts := decode(&framing, data, int(piece)+1)
		if ok != okParts || ok && !bytes.Equal(whole, parts) {
			t.Fatalf("%q: at once %q %v, in pieces %q %v", data, whole, ok, parts, okParts)
		}
		if !ok {
			return
		}
		theirs, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(data)))
		if err != nil || !bytes.Equal(theirs, whole) {
			t.Fatalf("%q: %q, net/http %q %v", data, whole, theirs, err)
		}
	})
}

// FuzzEncode: whatever a handler gives us, what we write is one message that we
// read as what it was, less the fields that were not fit.
func FuzzEncode(f *testing.F) {
	f.Add("GET", "/", "a", "x", "y", "websocket")
	f.Add("GET", "/\r\n", "a\n", "x\r\nHost", "y\r\n\r\nGET / HTTP/1.1", "")
	f.Fuzz(func(t *testing.T, method, path, authority, name, value, protocol string) {
		h := message.Head{
			Method: method, Path: path, Authority: authority, Protocol: protocol, Version: message.HTTP2,
			Fields: []message.Field{{Name: name, Value: value, ID: message.Lookup(name)}},
		}
		if !wire.ValidRequest(&h) || authority == "" {
			return
		}
		size := wire.HeadSize(&h)
		raw := wire.AppendRequest(nil, &h, wire.Outgoing{Kind: wire.Chunked, Length: -1})
		if protocol != "" || method == "CONNECT" {
			raw = wire.AppendRequest(nil, &h, wire.Outgoing{Length: -1})
		}
		if len(raw) > size {
			t.Fatalf("%d bytes, %d reserved", len(raw), size)
		}
		p := wire.Parser{Limits: wire.Limits{Head: 1 << 20, Target: 1 << 20, Fields: 10}}
		var got message.Head
		var framing wire.Framing
		n, fault := p.Request(raw, &got, &framing)
		if fault == wire.FaultMethodLong || fault == wire.FaultTarget && strings.Contains(path, "%") {
			return
		}
		if n != len(raw) || fault != wire.None || got.Authority != authority || len(got.Fields) > 1 {
			t.Fatalf("%q: read %d of it as %+v, %s", raw, n, got, fault)
		}
	})
}
