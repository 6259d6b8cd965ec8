package http2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
)

type grpcBackend struct {
	testpb.UnimplementedTestServiceServer
}

func (grpcBackend) UnaryCall(ctx context.Context, in *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	_ = grpc.SetTrailer(ctx, metadata.Pairs("t-bin", "\x00\x01\xff", "t", "2", "t", "1"))
	_ = grpc.SetHeader(ctx, metadata.MD{"h-bin": md["q-bin"]})
	if s := in.GetResponseStatus(); s != nil {
		return nil, status.Error(codes.Code(s.GetCode()), s.GetMessage())
	}
	return &testpb.SimpleResponse{Payload: in.GetPayload()}, nil
}

func (grpcBackend) FullDuplexCall(s grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
	for {
		in, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, p := range in.GetResponseParameters() {
			if err := s.Send(&testpb.StreamingOutputCallResponse{Payload: &testpb.Payload{Body: make([]byte, p.GetSize())}}); err != nil {
				return err
			}
		}
	}
}

func (grpcBackend) StreamingInputCall(s grpc.ClientStreamingServer[testpb.StreamingInputCallRequest, testpb.StreamingInputCallResponse]) error {
	n := 0
	for {
		in, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return s.SendAndClose(&testpb.StreamingInputCallResponse{AggregatedPayloadSize: int32(n)})
		}
		if err != nil {
			return err
		}
		n += len(in.GetPayload().GetBody())
	}
}

// TestGRPC calls grpc-go's server with grpc-go's client through both codecs.
func TestGRPC(t *testing.T) {
	kinds(t, func(t *testing.T, kind evloop.Kind) {
		t.Helper()
		leaks(t)
		ln := listen(t)
		srv := grpc.NewServer()
		testpb.RegisterTestServiceServer(srv, grpcBackend{})
		go func() { _ = srv.Serve(ln) }()
		t.Cleanup(srv.Stop)
		l := newLoop(t, kind)
		addr, _ := serve(t, l, ServerOptions{}, func() stream.Server { return &relay{l: l, dial: ln.Addr().String()} })
		cc, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cc.Close() })
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		c := testpb.NewTestServiceClient(cc)
		unary(ctx, t, c)
		streaming(ctx, t, c)
		t.Run("deadline", func(t *testing.T) {
			ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
			defer cancel()
			s, err := c.FullDuplexCall(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Recv(); status.Code(err) != codes.DeadlineExceeded {
				t.Errorf("got %v", err)
			}
		})
	})
}

func unary(ctx context.Context, t *testing.T, c testpb.TestServiceClient) {
	t.Helper()
	t.Run("unary", func(t *testing.T) {
		body := []byte(strings.Repeat("x", 100000))
		var head, trail metadata.MD
		out, err := c.UnaryCall(metadata.AppendToOutgoingContext(ctx, "q-bin", "\xfe\x00"), &testpb.SimpleRequest{Payload: &testpb.Payload{Body: body}}, grpc.Header(&head), grpc.Trailer(&trail))
		if err != nil || len(out.GetPayload().GetBody()) != len(body) {
			t.Fatal(err)
		}
		if fmt.Sprintf("%q %q %q", head["h-bin"], trail["t-bin"], trail["t"]) != `["\xfe\x00"] ["\x00\x01\xff"] ["2" "1"]` {
			t.Errorf("metadata %q %q", head, trail)
		}
	})
	t.Run("status", func(t *testing.T) {
		_, err := c.UnaryCall(ctx, &testpb.SimpleRequest{ResponseStatus: &testpb.EchoStatus{Code: 5, Message: "not \u4e16 here"}})
		if s := status.Convert(err); s.Code() != codes.NotFound || s.Message() != "not \u4e16 here" {
			t.Errorf("got %v", err)
		}
		_, err = c.UnimplementedCall(ctx, &testpb.Empty{})
		if status.Code(err) != codes.Unimplemented {
			t.Errorf("got %v", err)
		}
	})
}

func streaming(ctx context.Context, t *testing.T, c testpb.TestServiceClient) {
	t.Helper()
	t.Run("ping pong", func(t *testing.T) {
		s, err := c.FullDuplexCall(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range []int{1, 31415, 9, 2653, 589790, 58979} {
			if err := s.Send(&testpb.StreamingOutputCallRequest{ResponseParameters: []*testpb.ResponseParameters{{Size: int32(size)}}}); err != nil {
				t.Fatal(err)
			}
			out, err := s.Recv()
			if err != nil || len(out.GetPayload().GetBody()) != size {
				t.Fatal(size, err)
			}
		}
		_ = s.CloseSend()
		if _, err := s.Recv(); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	})
	t.Run("client streaming", func(t *testing.T) {
		s, err := c.StreamingInputCall(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			if err := s.Send(&testpb.StreamingInputCallRequest{Payload: &testpb.Payload{Body: make([]byte, 27182)}}); err != nil {
				t.Fatal(err)
			}
		}
		out, err := s.CloseAndRecv()
		if err != nil || out.GetAggregatedPayloadSize() != 2718200 {
			t.Error(out, err)
		}
	})
}
