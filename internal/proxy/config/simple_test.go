package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tatami-platform/tatami/internal/core/connect"
)

func TestSimple(t *testing.T) {
	main := []connect.Backend{{Cluster: "main", Weight: 1}}
	routes := []*connect.Route{{Name: "main", Rules: []connect.Rule{{Backends: main}}}}
	for name, x := range map[string]struct {
		simple Simple
		change func(*connect.Config)
	}{
		"HTTP": {Simple{}, func(*connect.Config) {}},
		"all addresses": {Simple{Listen: ":8080"}, func(c *connect.Config) {
			c.Listeners[0].Address = "[::]:8080"
		}},
		"Unix": {Simple{Listen: "unix:/run/a.sock", Backends: []string{"unix:/run/b.sock"}}, func(c *connect.Config) {
			c.Listeners[0].Address = "unix:/run/a.sock"
			c.Clusters[0].Endpoints = []connect.Endpoint{{Address: "unix:/run/b.sock"}}
		}},
		"two backends": {Simple{Backends: []string{"127.0.0.1:9000", "localhost:9001"}, Zone: "a", Service: "web"}, func(c *connect.Config) {
			c.Node.Zone, c.Node.Service = "a", "web"
			c.Clusters[0].Endpoints = append(c.Clusters[0].Endpoints, mustEndpoint(t, "127.0.0.1:9001"))
			c.Clusters[0].Service, c.Clusters[0].Outlier = "web", &connect.Outlier{}
		}},
		"h2c": {Simple{H2C: true}, func(c *connect.Config) { c.Clusters[0].Protocol = connect.UpstreamHTTP2 }},
		"TCP": {Simple{TCP: true}, func(c *connect.Config) {
			c.Listeners[0].Protocol = connect.ProtocolTCP
			c.Routes, c.StreamRoutes = nil, []*connect.StreamRoute{{Name: "main", Backends: main}}
		}},
		"mutual TLS": {Simple{TLSCert: "c", TLSKey: "k", TLSClientCA: "a"}, func(c *connect.Config) {
			l := c.Listeners[0]
			l.Protocol = connect.ProtocolHTTPS
			l.TLS = &connect.ServerTLS{Certificates: []string{"main"}, ClientTrust: "main", ClientAuth: connect.ClientAuthRequire}
			c.Certificates = []*connect.Certificate{{Name: "main", ChainFile: "c", KeyFile: "k"}}
			c.TrustBundles = []*connect.TrustBundle{{Name: "main", File: "a"}}
		}},
		"TCP over TLS": {Simple{TLSCert: "c", TLSKey: "k", TCP: true}, func(c *connect.Config) {
			c.Listeners[0].Protocol = connect.ProtocolTLS
			c.Listeners[0].TLS = &connect.ServerTLS{Certificates: []string{"main"}}
			c.Routes, c.StreamRoutes = nil, []*connect.StreamRoute{{Name: "main", Backends: main}}
			c.Certificates = []*connect.Certificate{{Name: "main", ChainFile: "c", KeyFile: "k"}}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := x.simple
			if s.Listen == "" {
				s.Listen = "127.0.0.1:8080"
			}
			if s.Backends == nil {
				s.Backends = []string{"127.0.0.1:9000"}
			}
			got, err := s.Config(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			want := &connect.Config{
				Version: "flags", Node: connect.Node{Name: "tatami-proxy"},
				Listeners: []*connect.Listener{{Name: "main", Address: "127.0.0.1:8080"}},
				Routes:    routes,
				Clusters:  []*connect.Cluster{{Name: "main", Endpoints: []connect.Endpoint{mustEndpoint(t, "127.0.0.1:9000")}}},
			}
			x.change(want)
			if diff := cmp.Diff(want, got, compareAddresses); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSimpleRefuses(t *testing.T) {
	for want, s := range map[string]Simple{
		"give --listen":       {Backends: []string{"127.0.0.1:1"}},
		"give --backend":      {Listen: "127.0.0.1:1"},
		"--tls-cert and":      {Listen: "127.0.0.1:1", Backends: []string{"127.0.0.1:1"}, TLSKey: "k"},
		"without TLS":         {Listen: "127.0.0.1:1", Backends: []string{"127.0.0.1:1"}, TLSClientCA: "k"},
		"--tcp or --h2c":      {Listen: "127.0.0.1:1", Backends: []string{"127.0.0.1:1"}, TCP: true, H2C: true},
		"--listen 8080":       {Listen: "8080", Backends: []string{"127.0.0.1:1"}},
		"no address":          {Listen: "example.com:80", Backends: []string{"127.0.0.1:1"}},
		"--backend 9000":      {Listen: "127.0.0.1:1", Backends: []string{"9000"}},
		"host or port":        {Listen: "127.0.0.1:1", Backends: []string{":9000"}},
		"there twice":         {Listen: "127.0.0.1:1", Backends: []string{"127.0.0.1:1", "127.0.0.1:1"}},
		"a name that resolve": {Listen: "127.0.0.1:1", Backends: []string{"no such host.invalid:1"}},
	} {
		if _, err := s.Config(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
