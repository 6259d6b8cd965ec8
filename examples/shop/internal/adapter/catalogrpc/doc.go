// Package catalogrpc speaks gRPC for the catalog: the server with its health
// service, and the client that implements app.Catalog.
//
// In and out: domain products; prices travel as nano-USD. Calls are read-only
// and retried by gRPC itself. It never holds the range of products.
// Read client.go, then server.go; the contract is catalogpb/catalog.proto.
package catalogrpc
