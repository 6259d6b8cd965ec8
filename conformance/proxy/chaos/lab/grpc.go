package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// echoMethod answers with the message that it got.
const echoMethod = "/tatami.conformance.Echo/Echo"

// rawCodec passes bytes as they are.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	b, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("%T is not bytes", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(*b)}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("%T is not bytes", v)
	}
	*b = data.Materialize()
	return nil
}

// GRPCOrigin is a real gRPC server that echoes.
type GRPCOrigin struct {
	Addr     string
	Server   *grpc.Server
	Requests atomic.Int64
	// Fail, when set, may answer a call with an error.
	Fail atomic.Pointer[func(n int64) error]
}

// NewGRPCOrigin starts one that ends with the test.
func NewGRPCOrigin(tb testing.TB) *GRPCOrigin {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a listener that the test closes
	if err != nil {
		tb.Fatal(err)
	}
	o := &GRPCOrigin{Addr: ln.Addr().String()}
	o.Server = grpc.NewServer(grpc.ForceServerCodecV2(rawCodec{}), grpc.UnknownServiceHandler(o.echo))
	go o.Server.Serve(ln) //nolint:errcheck // Stop ends it
	tb.Cleanup(o.Server.Stop)
	return o
}

func (o *GRPCOrigin) echo(_ any, s grpc.ServerStream) error {
	n := o.Requests.Add(1)
	var b []byte
	if err := s.RecvMsg(&b); err != nil {
		return err
	}
	if f := o.Fail.Load(); f != nil {
		if err := (*f)(n); err != nil {
			return err
		}
	}
	return s.SendMsg(&b)
}

// GRPC is a real gRPC client.
type GRPC struct {
	conn   *grpc.ClientConn
	bodies *Bodies
	wait   time.Duration
}

// NewGRPC makes the connection that clients share.
func NewGRPC(addr string, bodies *Bodies, wait time.Duration) (*GRPC, error) {
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(rawCodec{})))
	if wait == 0 {
		wait = Patience
	}
	return &GRPC{conn: conn, bodies: bodies, wait: wait}, err
}

// Close ends the connection.
func (g *GRPC) Close() { _ = g.conn.Close() }

// Shared is a client whose Close does nothing.
func (g *GRPC) Shared() Client { return sharedGRPC{g} }

type sharedGRPC struct{ *GRPC }

func (sharedGRPC) Close() {}

// Do calls once.
func (g *GRPC) Do(r Request) Outcome {
	ctx, cancel := context.WithTimeout(context.Background(), g.wait)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "x-id", fmt.Sprintf("%x", r.ID))
	in := g.bodies.Append(nil, r.ID, max(r.Post, r.Size))
	var out []byte
	err := g.conn.Invoke(ctx, echoMethod, &in, &out)
	if err != nil {
		s, ok := status.FromError(err)
		if !ok {
			return Outcome{Err: err}
		}
		return Outcome{Status: 200, Err: errors.New("gRPC status " + s.Code().String())}
	}
	return Outcome{Status: 200, Err: g.bodies.Check(r.ID, out)}
}
