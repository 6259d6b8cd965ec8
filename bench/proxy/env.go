package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/tatami-platform/tatami/bench/proxy/load"
	"github.com/tatami-platform/tatami/bench/proxy/peer"
)

// hostname is in the certificate, and what clients ask for.
const hostname = "shop.example"

// env is what all cases use: backends, certificates, and a client.
type env struct {
	dir    string
	h2load string
	http   *peer.Process
	// endpoints are the addresses of the backend for HTTP.
	endpoints []string
	// crowd is a backend with many more, apart; it runs from when it is needed.
	crowd      *peer.Process
	apart      []string
	slow, grpc *child
	client     *tls.Config
}

// prepare starts the backends; close must be called.
func prepare(ctx context.Context) (_ *env, err error) {
	e := &env{}
	defer func() {
		if err != nil {
			e.close()
		}
	}()
	if e.h2load, err = exec.LookPath("h2load"); err != nil {
		return nil, fmt.Errorf("%w: apt-get install nghttp2-client", err)
	}
	if e.dir, err = os.MkdirTemp("", "bench"); err != nil {
		return nil, err
	}
	if err := e.certificates(); err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	if e.http, e.endpoints, err = peer.StartBackend(ctx, shared); err != nil {
		return nil, fmt.Errorf("backend: %w", err)
	}
	if e.slow, err = startChild(ctx, slowServer); err != nil {
		return nil, err
	}
	if e.grpc, err = startChild(ctx, grpcServer); err != nil {
		return nil, err
	}
	ask := load.HTTP1{Requests: [][]byte{load.Get(hostname, "/")}, BodyBytes: peer.SmallBytes}
	_, err = ready(ctx, ask, e.endpoints[0], e.http)
	return e, err
}

// shared is on how many addresses the backend of all cases listens, so that
// services have endpoints to choose from.
const shared = 10

// need starts what only some cases have.
func (e *env) need(ctx context.Context, c benchCase) (err error) {
	if !c.apart || e.crowd != nil {
		return nil
	}
	if e.crowd, e.apart, err = peer.StartBackend(ctx, c.services*c.endpoints); err != nil {
		return fmt.Errorf("backend: %w", err)
	}
	_, err = ready(ctx, c.ask(e), e.apart[len(e.apart)-1], e.crowd)
	return err
}

func (e *env) close() {
	for _, p := range []*peer.Process{e.http, e.crowd} {
		if p != nil {
			p.Stop()
		}
	}
	for _, c := range []*child{e.slow, e.grpc} {
		if c != nil {
			c.stop()
		}
	}
	if e.dir != "" {
		os.RemoveAll(e.dir)
	}
}

// backend is the address behind a case.
func (e *env) backend(kind string) string {
	switch kind {
	case slowServer:
		return e.slow.address
	case grpcServer:
		return e.grpc.address
	}
	return e.endpoints[0]
}

// spec is what a server is asked to do in a case.
func (e *env) spec(ctx context.Context, c benchCase) (peer.Spec, error) {
	listen, err := peer.FreePort(ctx)
	in := func(name string) string { return filepath.Join(e.dir, name) }
	return peer.Spec{
		Mode: c.mode, Listen: listen, Backend: e.backend(c.backend), Threads: runtime.NumCPU(),
		Cert: in("cert.pem"), Key: in("key.pem"), PEM: in("both.pem"), CA: in("ca.pem"),
		Services: e.services(c, c.services),
	}, err
}

// services are n of them, as a case has them.
func (e *env) services(c benchCase, n int) []peer.Service {
	var out []peer.Service
	for i := range n {
		s := peer.Service{Name: "s" + strconv.Itoa(i), Host: serviceHost(i), Endpoints: e.endpoints[:c.endpoints]}
		if c.apart {
			s.Endpoints = e.apart[i*c.endpoints:][:c.endpoints]
		}
		for j := range c.paths {
			s.Prefixes = append(s.Prefixes, prefix(j))
		}
		out = append(out, s)
	}
	return out
}

func serviceHost(i int) string { return "s" + strconv.Itoa(i) + ".example" }
func prefix(i int) string      { return "/r" + strconv.Itoa(i) + "/" }

// routed asks for all routes, in an order that is not theirs.
func routed(services, paths int) [][]byte {
	var out [][]byte
	for i := range services * paths {
		k := i * 7919 % (services * paths) // 7919 is a prime: all are met once
		out = append(out, load.Get(serviceHost(k/paths), prefix(k%paths)+"item/"+strconv.Itoa(i)))
	}
	return out
}

// certificates makes an authority, and one certificate for server and client.
func (e *env) certificates() error {
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: hostname}, DNSNames: []string{hostname},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:   ca.NotBefore, NotAfter: ca.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return err
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	block := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	caPEM, certPEM, keyPEM := block("CERTIFICATE", caDER), block("CERTIFICATE", leafDER), block("PRIVATE KEY", keyDER)
	for name, text := range map[string][]byte{
		"ca.pem": caPEM, "cert.pem": certPEM, "key.pem": keyPEM, "both.pem": bytes.Join([][]byte{certPEM, keyPEM}, nil),
	} {
		if err := os.WriteFile(filepath.Join(e.dir, name), text, 0o600); err != nil {
			return err
		}
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(caPEM) {
		return errors.New("the authority is not in its own file")
	}
	e.client = &tls.Config{
		RootCAs: pool, Certificates: []tls.Certificate{pair}, ServerName: hostname, MinVersion: tls.VersionTLS13,
		NextProtos: []string{"http/1.1"}, SessionTicketsDisabled: true,
	}
	return nil
}
