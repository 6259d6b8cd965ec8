package suites

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/tatami-platform/tatami/conformance/proxy/rig"
)

// panicLogger turns what would end the process, as the functions of grpc/interop
// do when a case fails, into a panic that the test reports.
type panicLogger struct{}

type interopFailure string

func (panicLogger) Info(...any)             {}
func (panicLogger) Infoln(...any)           {}
func (panicLogger) Infof(string, ...any)    {}
func (panicLogger) Warning(...any)          {}
func (panicLogger) Warningln(...any)        {}
func (panicLogger) Warningf(string, ...any) {}
func (panicLogger) Error(...any)            {}
func (panicLogger) Errorln(...any)          {}
func (panicLogger) Errorf(string, ...any)   {}
func (panicLogger) Fatal(args ...any)       { panic(interopFailure(fmt.Sprint(args...))) }
func (panicLogger) Fatalln(args ...any)     { panic(interopFailure(fmt.Sprintln(args...))) }
func (panicLogger) Fatalf(f string, args ...any) {
	panic(interopFailure(fmt.Sprintf(f, args...)))
}
func (panicLogger) V(int) bool { return false }

// interopCase is a case of grpc/doc/interop-test-descriptions.md.
type interopCase struct {
	name string
	run  func(context.Context, *grpc.ClientConn, testgrpc.TestServiceClient)
}

// simply wraps the functions that only need the client.
func simply(f func(context.Context, testgrpc.TestServiceClient, ...grpc.CallOption), o ...grpc.CallOption) func(context.Context, *grpc.ClientConn, testgrpc.TestServiceClient) {
	return func(ctx context.Context, _ *grpc.ClientConn, tc testgrpc.TestServiceClient) { f(ctx, tc, o...) }
}

func interopCases() []interopCase {
	return []interopCase{
		{"empty_unary", simply(interop.DoEmptyUnaryCall)},
		{"large_unary", simply(interop.DoLargeUnaryCall)},
		{"client_streaming", simply(interop.DoClientStreaming)},
		{"server_streaming", simply(interop.DoServerStreaming)},
		{"ping_pong", simply(interop.DoPingPong)},
		{"empty_stream", simply(interop.DoEmptyStream)},
		{"cancel_after_begin", simply(interop.DoCancelAfterBegin)},
		{"cancel_after_first_response", simply(interop.DoCancelAfterFirstResponse)},
		{"timeout_on_sleeping_server", simply(interop.DoTimeoutOnSleepingServer)},
		{"custom_metadata", simply(interop.DoCustomMetadata)},
		{"status_code_and_message", simply(interop.DoStatusCodeAndMessage)},
		{"special_status_message", simply(interop.DoSpecialStatusMessage)},
		{"client_compressed_unary", simply(interop.DoLargeUnaryCall, grpc.UseCompressor(gzip.Name))},
		{"client_compressed_streaming", simply(interop.DoClientStreaming, grpc.UseCompressor(gzip.Name))},
		{"server_compressed_streaming", simply(interop.DoServerStreaming, grpc.UseCompressor(gzip.Name))},
		{"unimplemented_method", func(ctx context.Context, cc *grpc.ClientConn, _ testgrpc.TestServiceClient) {
			interop.DoUnimplementedMethod(ctx, cc)
		}},
		{"unimplemented_service", func(ctx context.Context, cc *grpc.ClientConn, _ testgrpc.TestServiceClient) {
			interop.DoUnimplementedService(ctx, testgrpc.NewUnimplementedServiceClient(cc))
		}},
	}
}

func grpcServer(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	testgrpc.RegisterTestServiceServer(s, interop.NewTestServer())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Serve(ln)
	}()
	t.Cleanup(func() {
		s.Stop()
		<-ended
	})
	return ln.Addr().String()
}

func dial(t *testing.T, addr string, c credentials.TransportCredentials) *grpc.ClientConn {
	t.Helper()
	cc, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(c))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	return cc
}

func TestGRPCInterop(t *testing.T) {
	backend := grpcServer(t)
	ca := rig.NewCA(t)
	for _, kind := range rig.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			for _, tt := range []struct {
				name string
				args []string
				cred credentials.TransportCredentials
			}{
				{"h2c", nil, insecure.NewCredentials()},
				{"TLS", tlsArgs(t, ca), credentials.NewTLS(ca.Client())},
			} {
				t.Run(tt.name, func(t *testing.T) {
					p, addr := front(t, kind, append([]string{"--h2c", "--backend", backend}, tt.args...)...)
					before := p.Usage()
					cc := dial(t, addr, tt.cred)
					for _, c := range interopCases() {
						t.Run(c.name, func(t *testing.T) { runInterop(t, cc, c) })
					}
					_ = cc.Close()
					p.Settle(before, rig.Growth{FDs: 4, Goroutines: 8, RSS: 64 << 20})
				})
			}
		})
	}
}

func runInterop(t *testing.T, cc *grpc.ClientConn, c interopCase) {
	t.Helper()
	defer func() {
		switch r := recover().(type) {
		case nil:
		case interopFailure:
			t.Error(string(r))
		default:
			panic(r)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c.run(ctx, cc, testgrpc.NewTestServiceClient(cc))
}

// TestGRPCOwnAnswers holds that answers of the proxy itself are such that a client
// of gRPC understands.
func TestGRPCOwnAnswers(t *testing.T) {
	gone := rig.TCP(t, func(net.Conn) {}) // accepts and closes
	for _, kind := range rig.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			p := program.Start(t, rig.Options{Kind: kind, Config: `
listeners: [{name: main, address: "127.0.0.1:0"}]
routes:
- name: grpc
  rules:
  - {matches: [{path: {value: /grpc.testing.TestService/EmptyCall, kind: EXACT}}], backends: [gone]}
  - {matches: [{path: {value: /grpc.testing.TestService/UnaryCall, kind: EXACT}}], filters: {direct: {status: 403}}}
clusters:
- {name: gone, protocol: HTTP2, endpoints: ["` + gone + `"]}
`})
			tc := testgrpc.NewTestServiceClient(dial(t, p.Addr("main"), insecure.NewCredentials()))
			_, err := tc.EmptyCall(t.Context(), &testgrpc.Empty{})
			if status.Code(err) != codes.Unavailable {
				t.Errorf("a backend that is gone: %v, want Unavailable", err)
			}
			_, err = tc.UnaryCall(t.Context(), &testgrpc.SimpleRequest{})
			if status.Code(err) != codes.PermissionDenied {
				t.Errorf("a direct response of 403: %v, want PermissionDenied", err)
			}
			stream, err := tc.StreamingInputCall(t.Context())
			if err == nil {
				_, err = stream.CloseAndRecv()
			}
			if status.Code(err) != codes.Unimplemented {
				t.Errorf("no route: %v, want Unimplemented", err)
			}
		})
	}
}
