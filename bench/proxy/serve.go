package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/tatami-platform/tatami/bench/proxy/peer"
)

// The backends that are not nginx: one that answers late, and one for gRPC.
const (
	slowServer = "slow"
	grpcServer = "grpc"
)

// slowness is how long the slow backend takes.
const slowness = 50 * time.Millisecond

// maxMessage is the longest gRPC message that is echoed, in bytes.
const maxMessage = 1 << 20

// child is a backend in a process of its own, so that it shares no runtime with
// the client. It ends when its input does.
type child struct {
	cmd     *exec.Cmd
	input   io.Closer
	address string
}

func startChild(ctx context.Context, kind string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-serve", kind)
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{cmd: cmd, input: input}
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		c.stop()
		return nil, fmt.Errorf("backend %s: no address: %w", kind, err)
	}
	c.address = strings.TrimSpace(line)
	return c, nil
}

func (c *child) stop() {
	_ = c.input.Close()
	_ = c.cmd.Wait()
}

// serve is such a process: it prints its address and serves until in ends.
func serve(ctx context.Context, kind string, in io.Reader, out io.Writer) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, in)
		_ = l.Close()
	}()
	fmt.Fprintln(out, l.Addr())
	switch kind {
	case slowServer:
		err = serveSlow(l)
	case grpcServer:
		err = grpcEcho().Serve(l)
	default:
		return fmt.Errorf("-serve %s: there are %s and %s", kind, slowServer, grpcServer)
	}
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// serveSlow answers every request after a while.
func serveSlow(l net.Listener) error {
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " + strconv.Itoa(peer.SmallBytes) + "\r\n\r\n" +
		strings.Repeat("tatami--", peer.SmallBytes/8))
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			for r := bufio.NewReader(conn); ; {
				line, err := r.ReadSlice('\n')
				if err != nil {
					return
				}
				if len(bytes.TrimSpace(line)) > 0 {
					continue
				}
				time.Sleep(slowness)
				if _, err := conn.Write(answer); err != nil {
					return
				}
			}
		}()
	}
}

// grpcEcho sends every message back on its own: the framing of gRPC over HTTP/2
// without TLS, without a library that would cost more than the proxies.
func grpcEcho() *http.Server {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Protocols: protocols,
		HTTP2:     &http.HTTP2Config{MaxConcurrentStreams: 4096},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			status := "0"
			if err := echo(w, r.Body); err != nil {
				status = "13" // INTERNAL
			}
			w.Header().Set(http.TrailerPrefix+"Grpc-Status", status)
		}),
		ReadHeaderTimeout: time.Minute,
	}
}

// echo copies messages: a byte that says whether it is compressed, the length
// as four bytes, and the message.
func echo(w http.ResponseWriter, in io.Reader) error {
	buf := make([]byte, 5, 512)
	flush := http.NewResponseController(w)
	for {
		buf = buf[:5]
		if _, err := io.ReadFull(in, buf); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		size := binary.BigEndian.Uint32(buf[1:])
		if size > maxMessage {
			return fmt.Errorf("a message of %d bytes", size)
		}
		buf = append(buf, make([]byte, size)...)
		if _, err := io.ReadFull(in, buf[5:]); err != nil {
			return err
		}
		if _, err := w.Write(buf); err != nil {
			return err
		}
		if err := flush.Flush(); err != nil {
			return err
		}
	}
}

// messages are n gRPC messages of a size in bytes.
func messages(n, size int) []byte {
	one := binary.BigEndian.AppendUint32([]byte{0}, uint32(size))
	return bytes.Repeat(append(one, bytes.Repeat([]byte{'t'}, size)...), n)
}
