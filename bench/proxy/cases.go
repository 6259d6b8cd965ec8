package main

import (
	"context"

	"github.com/tatami-platform/tatami/bench/proxy/load"
	"github.com/tatami-platform/tatami/bench/proxy/peer"
)

// kind is how a case is measured.
type kind string

const (
	// saturated asks as fast as answers come.
	saturated kind = "saturated"
	// halfLoad asks at a rate that all can bear.
	halfLoad kind = "half load"
	// footprint starts servers and looks at their size.
	footprint kind = "footprint"
	// reload changes the configuration under load, reloadFile that in a file.
	reload     kind = "reload"
	reloadFile kind = "reload of a file"
)

// asker is a client; *load.HTTP1 and *load.HTTP2 are the two.
type asker interface {
	Run(ctx context.Context, addr string, p load.Plan) (load.Result, error)
}

// benchCase is one thing that is measured.
type benchCase struct {
	name string
	// what is a line for people.
	what string
	kind kind
	mode peer.Mode
	// backend is "" for nginx, or one of the own ones.
	backend     string
	connections int
	// services is how many there are, each behind a host with so many paths and
	// with so many endpoints.
	services, paths, endpoints int
	// apart gives each endpoint an address of its own.
	apart bool
	ask   func(*env) asker
}

const (
	// messageBytes is the size of a gRPC message, streamed how many are in a stream.
	messageBytes = 100
	streamed     = 100
)

// cases in the order of the report. Their names are a contract.
func cases() []benchCase {
	small := get("/", peer.SmallBytes)
	return []benchCase{
		{name: "h1-c1", kind: saturated, what: "HTTP/1.1, 256 bytes, 1 connection", mode: peer.HTTP, connections: 1, ask: small},
		{name: "h1-c16", kind: saturated, what: "HTTP/1.1, 256 bytes, 16 connections", mode: peer.HTTP, connections: 16, ask: small},
		{name: "h1-c64", kind: saturated, what: "HTTP/1.1, 256 bytes, 64 connections", mode: peer.HTTP, connections: 64, ask: small},
		{name: "h1-c256", kind: saturated, what: "HTTP/1.1, 256 bytes, 256 connections", mode: peer.HTTP, connections: 256, ask: small},
		{name: "h1-20k", kind: saturated, what: "HTTP/1.1, 20 KiB, 64 connections", mode: peer.HTTP, connections: 64, ask: get("/20k", peer.MediumBytes)},
		{name: "h1-1m", kind: saturated, what: "HTTP/1.1, 1 MiB, 16 connections", mode: peer.HTTP, connections: 16, ask: get("/1m", peer.LargeBytes)},
		{name: "h1-new", kind: saturated, what: "HTTP/1.1, 256 bytes, a connection for each request, 64 at a time", mode: peer.HTTP, connections: 64, ask: getOnce},
		{name: "routes-1000", kind: saturated, what: "HTTP/1.1, 1,000 routes to 100 services, 64 connections", mode: peer.Routes, connections: 64, services: 100, paths: 10, endpoints: 10, ask: getRouted(100, 10)},
		{name: "slow", kind: saturated, what: "HTTP/1.1, the backend takes 50 ms, 512 connections", mode: peer.HTTP, backend: slowServer, connections: 512, ask: small},
		{name: "tls", kind: saturated, what: "HTTP/1.1 over TLS 1.3, 256 bytes, 64 connections", mode: peer.TLS, connections: 64, ask: getTLS},
		{name: "mtls", kind: saturated, what: "the same with client certificates", mode: peer.MTLS, connections: 64, ask: getTLS},
		{name: "h2", kind: saturated, what: "HTTP/2 over TLS to HTTP/1.1, 256 bytes, 8 connections of 8 streams", mode: peer.TLS, connections: 8, ask: getHTTP2},
		{name: "grpc", kind: saturated, what: "gRPC unary, 100 bytes, 8 connections of 8 streams", mode: peer.GRPC, backend: grpcServer, connections: 8, ask: call},
		{name: "grpc-stream", kind: saturated, what: "gRPC streams of 100 messages each way, per message, 8 connections of 8 streams", mode: peer.GRPC, backend: grpcServer, connections: 8, ask: callStream},
		{name: "tcp", kind: saturated, what: "TCP, 256 bytes for a request, 64 connections", mode: peer.TCP, connections: 64, ask: small},
		{name: "tcp-1m", kind: saturated, what: "TCP, 1 MiB for a request, 16 connections", mode: peer.TCP, connections: 16, ask: get("/1m", peer.LargeBytes)},
		{name: "latency", what: "HTTP/1.1, 256 bytes, 64 connections at half load", kind: halfLoad, mode: peer.HTTP, connections: 64, ask: small},
		{name: "footprint", what: "100 services with 1,000 endpoints, 64 busy connections", kind: footprint, mode: peer.Routes, connections: 64, services: 100, paths: 1, endpoints: 10, apart: true, ask: getRouted(100, 1)},
		{name: "reload-5000", what: "5,000 routes, the control plane changes one and adds a service, under load", kind: reload, mode: peer.Routes, connections: 64, services: 500, paths: 10, endpoints: 2, ask: getRouted(500, 10)},
		{name: "reload-5000-file", what: "the same 5,000 routes in a file of YAML, which is read anew for a service that is added", kind: reloadFile, mode: peer.Routes, connections: 64, services: 500, paths: 10, endpoints: 2, ask: getRouted(500, 10)},
	}
}

func get(path string, size int64) func(*env) asker {
	return func(*env) asker {
		return load.HTTP1{Requests: [][]byte{load.Get(hostname, path)}, BodyBytes: size}
	}
}

func getOnce(*env) asker {
	return load.HTTP1{Requests: [][]byte{load.Get(hostname, "/", "Connection: close")}, BodyBytes: peer.SmallBytes, Close: true}
}

func getRouted(services, paths int) func(*env) asker {
	return func(*env) asker { return load.HTTP1{Requests: routed(services, paths), BodyBytes: peer.SmallBytes} }
}

func getTLS(e *env) asker {
	return load.HTTP1{Requests: [][]byte{load.Get(hostname, "/")}, BodyBytes: peer.SmallBytes, TLS: e.client}
}

func getHTTP2(e *env) asker {
	return load.HTTP2{Program: e.h2load, Host: hostname, Path: "/", TLS: true, Streams: 8, BodyBytes: peer.SmallBytes}
}

func call(e *env) asker { return rpc(e, "/bench.Echo/Unary", 1) }

func callStream(e *env) asker { return rpc(e, "/bench.Echo/Stream", streamed) }

func rpc(e *env, path string, n int) asker {
	body := messages(n, messageBytes)
	return load.HTTP2{
		Program: e.h2load, Host: hostname, Path: path, Streams: 8, Headers: []string{"content-type: application/grpc", "te: trailers"},
		Body: body, BodyBytes: int64(len(body)), Parts: n,
	}
}

// restarts says whether servers are looked at alone, not side by side.
func (c benchCase) restarts() bool {
	return c.kind == footprint || c.kind == reload || c.kind == reloadFile
}

// direct says whether the client can ask the backend itself.
func (c benchCase) direct() bool {
	return (c.mode != peer.TLS && c.mode != peer.MTLS) && !c.restarts()
}
