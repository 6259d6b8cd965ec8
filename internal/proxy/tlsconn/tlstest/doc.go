// Package tlstest makes authorities and certificates for tests of TLS.
//
// In: names and times. Out: PEM, as a person would give it. Keys are ECDSA P-256
// and never leave the test. It is for tests only. Read next: tlstest.go.
package tlstest
