package chaos

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/tatami-platform/tatami/conformance/proxy/chaos/lab"
)

// fault is one way for a backend to misbehave.
type fault struct {
	name   string
	behave lab.Behaviour
	// late: part of a good answer went out before, so that nobody can ask again.
	late bool
}

// faults are all of them. What is not late must never be seen by a client whose
// request may be asked again, as long as another backend is well.
func faults() []fault {
	return []fault{
		{name: "closes without an answer", behave: closes},
		{name: "resets without an answer", behave: resets},
		{name: "closes in the head", behave: says("HTTP/1.1 200 OK\r\nContent-Le")},
		{name: "never answers", behave: hangs},
		{name: "answers what is not HTTP", behave: says("\x16\x03\x01\x00 SSH-2.0-OpenSSH\r\n\r\n")},
		{name: "answers another version", behave: says("HTTP/9.9 200 OK\r\nContent-Length: 0\r\n\r\n")},
		{name: "answers without a status", behave: says("HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n")},
		{name: "answers with two lengths", behave: says("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nbody")},
		{name: "answers with length and chunks", behave: says("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
		{name: "answers with a length that is none", behave: says("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n")},
		{name: "answers with a bare CR in a field", behave: says("HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n")},
		{name: "answers with headers without end", behave: endlessHead},
		{name: "answers with a field without end", behave: endlessField},
		{name: "answers with 1xx without end", behave: endlessInformation},
		{name: "answers a byte at a time", behave: slowHead},
		{name: "answers 503", behave: unwell},
		{name: "closes in the body", behave: truncates, late: true},
		{name: "resets in the body", behave: resetsLate, late: true},
		{name: "closes in a chunk", behave: truncatesChunk, late: true},
		{name: "forgets the last chunk", behave: noLastChunk, late: true},
		{name: "breaks the chunks", behave: badChunk, late: true},
		{name: "hangs in the body", behave: hangsLate, late: true},
		{name: "sends more than it said", behave: tooMuch, late: true},
		{name: "answers twice", behave: twice, late: true},
		{name: "sends a body with 204", behave: bodyWith204, late: true},
		{name: "answers before the request is whole", behave: early, late: true},
		{name: "answers in small parts", behave: dribbles, late: true},
		{name: "ends the body by closing", behave: closeDelimited, late: true},
	}
}

func closes(*lab.Call) bool { return false }

func resets(c *lab.Call) bool {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	return false
}

// hangs until the peer has enough.
func hangs(c *lab.Call) bool {
	_ = c.Conn.SetReadDeadline(time.Now().Add(lab.Patience))
	_, _ = io.Copy(io.Discard, c.In)
	return false
}

func says(text string) lab.Behaviour {
	return func(c *lab.Call) bool {
		_, _ = c.Conn.Write([]byte(text))
		return false
	}
}

// repeat sends the same until nobody takes it.
func repeat(c *lab.Call, first, again string) bool {
	_ = c.Conn.SetWriteDeadline(time.Now().Add(lab.Patience))
	_, err := c.Conn.Write([]byte(first))
	part := bytes.Repeat([]byte(again), 1+4096/len(again))
	for err == nil {
		_, err = c.Conn.Write(part)
	}
	return false
}

func endlessHead(c *lab.Call) bool {
	return repeat(c, "HTTP/1.1 200 OK\r\n", "X-More: and more\r\n")
}

func endlessField(c *lab.Call) bool { return repeat(c, "HTTP/1.1 200 OK\r\nX-More: ", "and more ") }

func endlessInformation(c *lab.Call) bool {
	return repeat(c, "", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
}

func slowHead(c *lab.Call) bool {
	for i := range 200 {
		if _, err := c.Conn.Write([]byte("HTTP/1.1 200 OK\r\nX-Slow: aaaaaaaa"[min(i, 32):][:1])); err != nil {
			return false
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

func unwell(c *lab.Call) bool {
	if c.ReadBody() != nil {
		return false
	}
	_, err := c.Conn.Write([]byte("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 7\r\n\r\nunwell\n"))
	return err == nil
}

// part sends head and n bytes of the right body.
func part(c *lab.Call, head string, n int) []byte {
	_ = c.ReadBody()
	body := c.Origin.Bodies.Append(nil, c.ID, c.Size)
	_, _ = c.Conn.Write(append([]byte(head), body[:min(n, len(body))]...))
	return body
}

func length(c *lab.Call) string {
	return "HTTP/1.1 200 OK\r\nContent-Length: " + strconv.Itoa(max(c.Size, lab.MinBody)) + "\r\n\r\n"
}

func truncates(c *lab.Call) bool {
	part(c, length(c), 40)
	return false
}

func resetsLate(c *lab.Call) bool {
	part(c, length(c), 40)
	time.Sleep(2 * time.Millisecond)
	return resets(c)
}

const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

func truncatesChunk(c *lab.Call) bool {
	part(c, chunked+"40\r\n", 40)
	return false
}

func noLastChunk(c *lab.Call) bool {
	n := max(c.Size, lab.MinBody)
	part(c, fmt.Sprintf("%s%x\r\n", chunked, n), n)
	_, _ = c.Conn.Write([]byte("\r\n"))
	return false
}

func badChunk(c *lab.Call) bool {
	part(c, chunked+"10\r\n", 16)
	_, _ = c.Conn.Write([]byte("\r\n0x10\r\n"))
	return false
}

func hangsLate(c *lab.Call) bool {
	part(c, length(c), 40)
	return hangs(c)
}

// tooMuch looks whole to everybody; the rest must come to nobody. It comes in one
// piece with the answer: what a backend sends later, when the next request is on
// its way, no client and no proxy can tell from the answer to that.
func tooMuch(c *lab.Call) bool {
	_ = c.ReadBody()
	body := c.Origin.Bodies.Append(nil, c.ID, c.Size)
	_, err := c.Conn.Write(slices.Concat([]byte(length(c)), body, body))
	return err == nil
}

// twice sends an answer that nobody asked for.
func twice(c *lab.Call) bool {
	_ = c.ReadBody()
	body := c.Origin.Bodies.Append(nil, c.ID, c.Size)
	_, err := c.Conn.Write(slices.Concat([]byte(length(c)), body, []byte("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned")))
	return err == nil
}

func bodyWith204(c *lab.Call) bool {
	part(c, "HTTP/1.1 204 No Content\r\n"+lab.HeaderLie+": 204\r\n\r\n", 40)
	return true
}

// early answers whole before it reads the request's body, which it leaves.
func early(c *lab.Call) bool {
	body := c.Origin.Bodies.Append(nil, c.ID, c.Size)
	_, _ = c.Conn.Write(append([]byte("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"), body...))
	_, _ = io.Copy(io.Discard, io.LimitReader(c.In, 1000))
	return false
}

func dribbles(c *lab.Call) bool {
	_ = c.ReadBody()
	all := c.Origin.Bodies.Append([]byte(length(c)), c.ID, c.Size)
	for part := range slices.Chunk(all, 1+len(all)/9) {
		if _, err := c.Conn.Write(part); err != nil {
			return false
		}
		time.Sleep(3 * time.Millisecond)
	}
	return true
}

func closeDelimited(c *lab.Call) bool {
	part(c, "HTTP/1.0 200 OK\r\n\r\n", 1<<30)
	return false
}
