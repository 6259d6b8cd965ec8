// Package secret holds certificates, keys and trust bundles, and builds from them
// what crypto/tls needs to serve and to call.
//
// In: connect.Certificate and connect.TrustBundle, as PEM or files. Out: a
// tls.Config per ServerTLS and ClientTLS, and expiry times. A Store never changes:
// rotation is a new one, and connections keep what they began with. It never logs
// or returns a key. Source: RFC 5280, RFC 6125, SPIFFE X509-SVID. Read next:
// store.go, server.go, client.go, spiffe.go.
package secret
