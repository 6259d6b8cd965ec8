package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tatami-platform/tatami/bench/proxy/peer"
	"github.com/tatami-platform/tatami/internal/proxy/config/configpb"
	"github.com/tatami-platform/tatami/internal/proxy/config/configtest"
)

// plane is a control plane in this process.
type plane struct {
	server   *configtest.Server
	services []peer.Service
	// version is what the proxy has.
	version string
	// address is where the proxy listens.
	address string
}

// reloadStream changes one route of many, and adds the service that it leads to
// from then on, in one message. A change counts from when the message is handed
// to gRPC.
func (s settings) reloadStream(ctx context.Context, e *env, c benchCase, p peer.Program, into *peerResult) error {
	spec, err := e.spec(ctx, c)
	if err != nil {
		return err
	}
	server, err := configtest.Listen("unix", filepath.Join(e.dir, "control.sock"), nil)
	if err != nil {
		return err
	}
	defer server.Close()
	spec.Control = server.Target()
	control := &plane{server: server, services: spec.Services, address: spec.Listen}
	control.version = server.Set(resources(spec))
	t, err := launch(ctx, c.ask(e), p, spec)
	if t != nil {
		defer t.process.Stop()
	}
	if err != nil {
		return err
	}
	t.result = into
	return s.underLoad(ctx, c, t, control.change)
}

// resources are what the file of the other cases says.
func resources(s peer.Spec) *configpb.Resources {
	out := &configpb.Resources{Listeners: []*configpb.Listener{{Name: "front", Address: s.Listen}}}
	for _, service := range s.Services {
		for i := range service.Prefixes {
			out.Routes = append(out.Routes, routeOf(service, i))
		}
		out.Clusters = append(out.Clusters, clusterOf(service.Name, service.Endpoints))
	}
	return out
}

func routeOf(s peer.Service, i int) *configpb.Route {
	return &configpb.Route{
		Name: fmt.Sprintf("bench/%s-%d", s.Name, i), Hostnames: []string{s.Host},
		Rules: []*configpb.Rule{ruleOf(s.Prefixes[i], s.Name)},
	}
}

func ruleOf(prefix, cluster string) *configpb.Rule {
	return &configpb.Rule{
		Matches:  []*configpb.Match{{Path: &configpb.PathMatch{Value: prefix}}},
		Backends: []*configpb.Backend{{Cluster: cluster}},
	}
}

func clusterOf(name string, endpoints []string) *configpb.Cluster {
	c := &configpb.Cluster{Name: name}
	for _, address := range endpoints {
		c.Endpoints = append(c.Endpoints, &configpb.Endpoint{Address: address})
	}
	return c
}

// change gives a route one rule more, and a new service that the rule leads to.
func (c *plane) change(ctx context.Context, i int) (took, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	host := c.services[i*7%len(c.services)]
	name := "new-" + strconv.Itoa(i)
	path := "/" + name + "/"
	route := routeOf(host, i%len(host.Prefixes))
	route.Rules = append(route.Rules, ruleOf(path, name))
	delta := &configpb.Delta{
		FromVersion: c.version, ToVersion: name, Nonce: name,
		Upserts: &configpb.Resources{
			Routes: []*configpb.Route{route}, Clusters: []*configpb.Cluster{clusterOf(name, host.Endpoints)},
		},
	}
	w := newWatcher(c.address, host.Host, path)
	defer w.close()
	if err := w.absent(ctx); err != nil {
		return took{}, err
	}
	began := time.Now()
	c.server.Inject(&configpb.ControlMessage{Message: &configpb.ControlMessage_Delta{Delta: delta}})
	c.version = name
	acked := make(chan took, 1)
	refused := make(chan error, 1)
	go func() {
		_, err := c.server.WaitAck(ctx, name)
		acked <- took{ack: time.Since(began)}
		refused <- err
	}()
	seen, err := w.wait(ctx, began)
	out := <-acked
	out.seen = seen
	if err := errors.Join(err, <-refused); err != nil {
		return out, fmt.Errorf("%w\n%s", err, c.reasons())
	}
	return out, nil
}

// reasons are those of the last answer.
func (c *plane) reasons() string {
	all := c.server.Answers()
	if len(all) == 0 {
		return "the proxy has never answered"
	}
	return strings.Join(all[len(all)-1].Reasons, "\n")
}
