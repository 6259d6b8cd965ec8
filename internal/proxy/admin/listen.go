package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// ErrNotLocal is wrapped by what Listen returns for an address that others than
// this machine's users could reach.
var ErrNotLocal = errors.New("the admin endpoint has no passwords and listens on loopback or a Unix socket only")

// socketMode lets only the owner connect.
const socketMode = 0o600

// Listen opens "127.0.0.1:9901", "[::1]:0" or "unix:/run/tatami/admin.sock". A
// socket file of an earlier run is replaced, any other file is not. Errors wrap
// ErrNotLocal or what the system says.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return listenUnix(ctx, path)
	}
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fmt.Errorf("admin address %q: %w: give 127.0.0.1:PORT, [::1]:PORT or unix:/PATH", address, ErrNotLocal)
	}
	if !a.Addr().Unmap().IsLoopback() {
		return nil, fmt.Errorf("admin address %s: %w: give 127.0.0.1:%d or unix:/PATH", address, ErrNotLocal, a.Port())
	}
	var c net.ListenConfig
	ln, err := c.Listen(ctx, "tcp", a.String())
	if err != nil {
		return nil, fmt.Errorf("admin address %s: %w", address, err)
	}
	return ln, nil
}

// unixListener removes its file when it closes, if the file is still its own: after
// a hot restart the path belongs to the successor.
type unixListener struct {
	*net.UnixListener
	path string
	file fs.FileInfo
}

// Close closes the socket and removes its file.
func (l *unixListener) Close() error {
	if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.file) {
		_ = os.Remove(l.path) // the next start replaces it anyway
	}
	return l.UnixListener.Close()
}

// listenUnix makes the socket in a folder of its own and moves it to its place: at
// no moment can another user connect, and the process-wide umask is left alone.
func listenUnix(ctx context.Context, path string) (net.Listener, error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("admin socket %q: give an absolute path, e.g. unix:/run/tatami/admin.sock", path)
	}
	old, err := os.Lstat(path)
	if err == nil && old.Mode().Type() != fs.ModeSocket {
		return nil, fmt.Errorf("admin socket %s: there is a file that is no socket: remove it or give another path", path)
	}
	private, err := os.MkdirTemp(filepath.Dir(path), ".a")
	if err != nil {
		return nil, fmt.Errorf("admin socket %s: %w", path, err)
	}
	defer os.RemoveAll(private)
	var c net.ListenConfig
	ln, err := c.Listen(ctx, "unix", filepath.Join(private, "s"))
	if err != nil {
		return nil, fmt.Errorf("admin socket %s: %w", path, err)
	}
	l := &unixListener{UnixListener: ln.(*net.UnixListener), path: path}
	l.SetUnlinkOnClose(false)
	if err := l.place(filepath.Join(private, "s")); err != nil {
		_ = l.UnixListener.Close() // nobody knows it yet
		return nil, fmt.Errorf("admin socket %s: %w", path, err)
	}
	return l, nil
}

func (l *unixListener) place(from string) error {
	if err := os.Chmod(from, socketMode); err != nil {
		return err
	}
	file, err := os.Lstat(from)
	if err != nil {
		return err
	}
	l.file = file
	return os.Rename(from, l.path)
}

// Limits of the server. A profile may take minutes to write.
const (
	headerTimeout   = 5 * time.Second
	idleTimeout     = time.Minute
	maxHeaderBytes  = 16 << 10
	shutdownTimeout = time.Second
)

// Serve answers on the listener until ctx is over, then closes it and gives
// requests a second to end.
func Serve(ctx context.Context, ln net.Listener, h http.Handler) error {
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
	}
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		if server.Shutdown(last) != nil {
			_ = server.Close() // it is over either way
		}
	})
	err := server.Serve(ln)
	if stop() {
		close(done) // Serve failed by itself
	}
	<-done
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("admin endpoint: %w", err)
}
