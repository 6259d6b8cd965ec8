package relay

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// acceptRetry is a pause after an error such as too many open files.
const acceptRetry = 50 * time.Millisecond

// Accept hands each connection to a goroutine of its own until the listener is
// closed. Another error ends nothing: the port must not stay open and dead.
func Accept(l net.Listener, handle func(net.Conn)) {
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			go handle(c)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			time.Sleep(acceptRetry)
		}
	}
}

// Both copies until both directions have ended or the context has, and closes
// both connections.
func Both(ctx context.Context, a, b net.Conn) {
	closeBoth := func() { _ = a.Close(); _ = b.Close() }
	defer closeBoth()
	stop := context.AfterFunc(ctx, closeBoth)
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() { half(a, b) })
	wg.Go(func() { half(b, a) })
	wg.Wait()
}

func half(dst, src net.Conn) {
	_, err := io.Copy(dst, src)
	if tcp, ok := dst.(*net.TCPConn); ok && err == nil {
		_ = tcp.CloseWrite()
		return
	}
	// The other direction can't go on either.
	_ = dst.Close()
	_ = src.Close()
}
