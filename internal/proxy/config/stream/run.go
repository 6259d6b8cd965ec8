package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/proxy/config"
	pb "github.com/tatami-platform/tatami/internal/proxy/config/configpb"
)

// maxMessageBytes bounds one message; 5,000 routes have about 1 MiB.
const maxMessageBytes = 64 << 20

// Options say where the control plane is and who we are. Times are defaults when 0.
type Options struct {
	// Target is host:port or unix:/path.
	Target string
	// TLS is nil for plain text, which only loopback and Unix sockets may speak. A
	// client certificate that changes is given by GetClientCertificate.
	TLS *tls.Config
	// Node is who we are.
	Node connect.Node
	// Heartbeat is sent when nothing was for that long (10 s). A server that says
	// nothing for three of them is taken for dead.
	Heartbeat time.Duration
	// MinBackoff and MaxBackoff bound the wait before a new stream (0.25 s, 30 s):
	// it doubles with each failure, and half of it is random.
	MinBackoff, MaxBackoff time.Duration
	// Interval is how often files of certificates are looked at (0.25 s).
	Interval time.Duration
	// Report is told why a change was refused or a stream ended. nil: nobody.
	Report func(error)
}

func (o Options) withDefaults() Options {
	if o.Heartbeat <= 0 {
		o.Heartbeat = 10 * time.Second
	}
	if o.MinBackoff <= 0 {
		o.MinBackoff = 250 * time.Millisecond
	}
	if o.MaxBackoff <= 0 {
		o.MaxBackoff = 30 * time.Second
	}
	if o.Interval <= 0 {
		o.Interval = config.DefaultInterval
	}
	if o.Report == nil {
		o.Report = func(error) {}
	}
	return o
}

// Run follows the control plane until the context ends and returns nil then. An
// error means that the options cannot work. Streams that end are started again,
// with the version in use, so that only what changed is sent.
func Run(ctx context.Context, o Options, apply config.Apply) error {
	o = o.withDefaults()
	if o.TLS == nil && !local(o.Target) {
		return fmt.Errorf("control plane %s: plain text is for loopback and Unix sockets only; give certificates", o.Target)
	}
	state := config.NewState(o.Node, apply)
	for failures := 0; ctx.Err() == nil; {
		good, err := attempt(ctx, o, state)
		failures++
		if good {
			failures = 1
		}
		if ctx.Err() == nil {
			o.Report(fmt.Errorf("control plane %s: %w; the configuration in use stays", o.Target, err))
			wait(ctx, o, state, delay(o, failures, rand.Float64()))
		}
	}
	return nil
}

// local says that a target cannot be reached from, or heard by, another host.
func local(target string) bool {
	if strings.HasPrefix(target, "unix:") {
		return true
	}
	if rest, found := strings.CutPrefix(target, "localhost:"); found {
		target = "127.0.0.1:" + rest
	}
	addr, err := netip.ParseAddrPort(target)
	return err == nil && addr.Addr().IsLoopback()
}

// delay is the wait after so many failures in a row; random is from 0 to 1.
func delay(o Options, failures int, random float64) time.Duration {
	d := o.MinBackoff
	for range min(failures-1, 30) {
		d = min(2*d, o.MaxBackoff)
	}
	return d/2 + time.Duration(random*float64(d/2))
}

// wait passes the time between streams; files of certificates are still watched.
func wait(ctx context.Context, o Options, state *config.State, d time.Duration) {
	end := time.NewTimer(d)
	defer end.Stop()
	files := time.NewTicker(o.Interval)
	defer files.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-end.C:
			return
		case <-files.C:
			refresh(o, state)
		}
	}
}

func refresh(o Options, state *config.State) {
	if err := state.Refresh(); err != nil {
		o.Report(err)
	}
}

// attempt runs one stream to its end; good says that a configuration came over it.
// A connection of its own per stream keeps the wait between them ours alone.
func attempt(ctx context.Context, o Options, state *config.State) (good bool, err error) {
	creds := insecure.NewCredentials()
	if o.TLS != nil {
		creds = credentials.NewTLS(o.TLS)
	}
	conn, err := grpc.NewClient(o.Target,
		grpc.WithTransportCredentials(creds),
		grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: 5 * time.Second}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessageBytes)),
	)
	if err != nil {
		return false, err
	}
	defer conn.Close() //nolint:errcheck // the stream is over
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := pb.NewConfigClient(conn).Stream(ctx)
	if err != nil {
		return false, err
	}
	s := &session{options: o, state: state, stream: stream, messages: make(chan received)}
	err = s.run(ctx)
	if err == nil {
		err = errors.New("the stream ended")
	}
	return s.good, err
}
