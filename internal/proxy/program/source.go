package program

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/proxy"
	"github.com/tatami-platform/tatami/internal/proxy/config"
	"github.com/tatami-platform/tatami/internal/proxy/config/stream"
)

// source is where the configuration comes from.
func (p *process) source(ctx context.Context) (config.Source, error) {
	f := p.flags
	report := func(err error) { p.say("%v", err) }
	watch := config.WatchOptions{Path: f.config, Node: f.node(), Reload: p.reload, Report: report}
	switch {
	case f.config != "":
		return func(ctx context.Context, apply config.Apply) error { return config.Watch(ctx, watch, apply) }, nil
	case f.control != "":
		tc, err := f.controlTLS()
		if err != nil {
			return nil, err
		}
		o := stream.Options{Target: f.control, TLS: tc, Node: f.node(), Report: report}
		return func(ctx context.Context, apply config.Apply) error { return stream.Run(ctx, o, apply) }, nil
	}
	c, err := f.simple.Config(ctx)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, apply config.Apply) error { return config.Hold(ctx, c, watch, apply) }, nil
}

func (f *flags) node() connect.Node {
	name := f.simple.Name
	if name == "" {
		name = config.DefaultNode
	}
	return connect.Node{Name: name, Service: f.simple.Service, Zone: f.simple.Zone}
}

// controlTLS is nil where the control plane is spoken to in plain text.
func (f *flags) controlTLS() (*tls.Config, error) {
	if f.controlCA == "" && f.controlCert == "" {
		return nil, nil //nolint:nilnil // nil means: plain text
	}
	c := &tls.Config{MinVersion: tls.VersionTLS13, ServerName: f.controlName}
	if f.controlCA != "" {
		text, err := os.ReadFile(f.controlCA)
		if err != nil {
			return nil, fmt.Errorf("--control-ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("--control-ca %s: there is no certificate in it", f.controlCA)
		}
	}
	if f.controlCert != "" {
		if _, err := tls.LoadX509KeyPair(f.controlCert, f.controlKey); err != nil {
			return nil, fmt.Errorf("--control-cert: %w", err)
		}
		// Read at each handshake, so that a certificate that was renewed counts.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(f.controlCert, f.controlKey)
			return &pair, err
		}
	}
	return c, nil
}

// check says whether a configuration would be taken.
func (p *process) check() (int, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	source, err := p.source(ctx)
	if err != nil {
		return exitError, err
	}
	server, err := proxy.New(proxy.Options{Loops: 1})
	if err != nil {
		return exitError, err
	}
	defer func() { _ = server.Close() }()
	good := false
	err = source(ctx, func(c *connect.Config) error {
		if err := server.Check(c); err != nil {
			return err
		}
		fmt.Fprintf(p.std.Out, "the configuration is good: %d listeners, %d routes, %d clusters\n",
			len(c.Listeners), len(c.Routes)+len(c.StreamRoutes), len(c.Clusters))
		good = true
		cancel()
		return nil
	})
	if err != nil || !good {
		return exitError, err
	}
	return exitDone, nil
}
