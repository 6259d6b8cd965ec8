// Package configpb is the generated code of the proxy's configuration and of the
// stream that carries it.
//
// In and out: the messages of proxyconfig.proto, which the control plane sends
// and configuration files are written in; durations carry their unit. Apart from
// this file nothing here is written by hand: change proxyconfig.proto, then run
// `go generate ./...`. It never holds logic. Read proxyconfig.proto.
package configpb

//go:generate go run ../../../../examples/shop/internal/protogen -modfile ../../../../tools.mod proxyconfig.proto
