// Package catalogpb is the generated code of the catalog's gRPC contract.
//
// In and out: the messages of catalog.proto; prices are nano-USD. Apart from
// this file nothing here is written by hand: change catalog.proto, then run
// `go generate ./...`. It never holds logic. Read catalog.proto.
package catalogpb

//go:generate go run ../../../protogen -modfile ../../../../../../tools.mod catalog.proto
