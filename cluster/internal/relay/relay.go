package relay

import (
	"context"
	"io"
	"net"
	"sync"
)

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
