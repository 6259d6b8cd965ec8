package launch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"

	"github.com/tatami-platform/tatami/cluster/internal/instance"
	"github.com/tatami-platform/tatami/internal/control"
)

const defaultPort = 6443

// listen opens the API server's port on loopback. A port that was asked for is
// taken or refused; else the last one, the usual one or any free one will do.
func listen(ctx context.Context, asked int, dataDir string) (*os.File, int, error) {
	if asked != 0 {
		f, port, err := listenOn(ctx, asked)
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, 0, &control.Problem{
				What: fmt.Sprintf("port %d is taken", asked),
				Why:  err,
				Next: "choose another with --port, or leave it out and a free one is found",
			}
		}
		return f, port, err
	}
	candidates := []int{defaultPort, 0}
	if st, err := instance.ReadState(dataDir); err == nil && st.Config.Port != 0 {
		candidates = []int{st.Config.Port, defaultPort, 0}
	}
	var err error
	for _, port := range candidates {
		var f *os.File
		var got int
		if f, got, err = listenOn(ctx, port); err == nil {
			return f, got, nil
		}
	}
	return nil, 0, fmt.Errorf("listen on loopback: %w", err)
}

func listenOn(ctx context.Context, port int) (*os.File, int, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, 0, err
	}
	defer l.Close()
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return nil, 0, errors.New("not a TCP listener")
	}
	f, err := tcp.File()
	if err != nil {
		return nil, 0, err
	}
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return nil, 0, errors.New("not a TCP address")
	}
	return f, addr.Port, nil
}
