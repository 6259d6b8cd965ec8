package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/tatami-platform/tatami/internal/core/connect"
	pb "github.com/tatami-platform/tatami/internal/proxy/config/configpb"
)

func route(i int, path string) *pb.Route {
	return &pb.Route{
		Name: fmt.Sprintf("shop/route-%04d", i), Hostnames: []string{fmt.Sprintf("h%d.example", i)}, Listeners: []string{"web"},
		Rules: []*pb.Rule{{
			Matches:  []*pb.Match{{Path: &pb.PathMatch{Value: path}, Headers: []*pb.ValueMatch{{Name: "X-Test", Value: "1"}}}},
			Backends: []*pb.Backend{{Cluster: "api"}},
		}},
	}
}

func resources(routes int) *pb.Resources {
	m := &pb.Resources{
		Listeners: []*pb.Listener{{Name: "web", Address: "127.0.0.1:0"}},
		Clusters:  []*pb.Cluster{{Name: "api", Endpoints: []*pb.Endpoint{{Address: "127.0.0.1:9000"}}}},
	}
	for i := range routes {
		m.Routes = append(m.Routes, route(i, "/a"))
	}
	return m
}

func TestChanges(t *testing.T) {
	r := &recorder{}
	s := NewState(connect.Node{Zone: "a"}, r.apply)
	offer := func(c Change) error {
		t.Helper()
		return s.Offer(c)
	}
	if s.Version() != "" || s.Config() != nil {
		t.Error("there is a configuration before the first")
	}
	if err := offer(Change{Version: "1", All: true, Upserts: resources(4)}); err != nil {
		t.Fatal(err)
	}
	first := s.Config()

	// A delta: one changed, one that is the same, one removed, one new.
	err := offer(Change{
		Version:  "2",
		Upserts:  &pb.Resources{Routes: []*pb.Route{route(9, "/n"), route(1, "/b"), route(0, "/a")}},
		Removals: []*pb.ResourceName{{Kind: pb.ResourceName_ROUTE, Name: "shop/route-0002"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	second := s.Config()
	var names []string
	for _, x := range second.Routes {
		names = append(names, strings.TrimPrefix(x.Name, "shop/route-"))
	}
	if !slices.Equal(names, []string{"0000", "0001", "0003", "0009"}) {
		t.Fatalf("routes %v", names)
	}
	if second.Routes[0] != first.Routes[0] || second.Routes[2] != first.Routes[3] || second.Clusters[0] != first.Clusters[0] {
		t.Error("what did not change has another pointer")
	}
	if second.Routes[1] == first.Routes[1] || first.Routes[1].Rules[0].Matches[0].Path.Value != "/a" {
		t.Error("what changed has the same pointer")
	}
	if second.Node != (connect.Node{Name: DefaultNode, Zone: "a"}) {
		t.Errorf("node %+v", second.Node)
	}

	// A snapshot with the same content keeps all pointers.
	m := resources(4)
	m.Routes = []*pb.Route{route(9, "/n"), m.Routes[3], m.Routes[0], route(1, "/b")}
	if err := offer(Change{Version: "3", All: true, Upserts: m}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.Config().Routes, second.Routes) || !slices.Equal(s.Config().Listeners, second.Listeners) {
		t.Error("a snapshot of the same content has other pointers")
	}
	if err := offer(Change{Version: "3", All: true, Upserts: m}); err != nil || len(r.configs) != 3 {
		t.Errorf("nothing new was applied: %d times, %v", len(r.configs), err)
	}
	if err := offer(Change{Version: "4", All: true, Upserts: &pb.Resources{Node: &pb.Node{Service: "web"}}}); err != nil {
		t.Fatal(err)
	}
	if c := s.Config(); len(c.Routes) != 0 || c.Node.Service != "web" || c.Node.Zone != "a" {
		t.Errorf("got %+v", c)
	}
}

func TestRefusedChangesChangeNothing(t *testing.T) {
	r := &recorder{}
	s := NewState(connect.Node{}, r.apply)
	if err := s.Offer(Change{Version: "1", All: true, Upserts: resources(2)}); err != nil {
		t.Fatal(err)
	}
	before := s.Config()
	removal := func(k pb.ResourceName_Kind, name string) []*pb.ResourceName {
		return []*pb.ResourceName{{Kind: k, Name: name}}
	}
	for want, c := range map[string]Change{
		"has no version":                 {Upserts: resources(1)},
		`there is no "x" among clusters`: {Version: "2", Removals: removal(pb.ResourceName_CLUSTER, "x")},
		"LISTENER to TRUST_BUNDLE":       {Version: "2", Removals: removal(9, "x")},
		"routes[0].rules[0].backends[0].cluster: there is no cluster \"api\"": {Version: "2", Removals: removal(pb.ResourceName_CLUSTER, "api")},
		`removed and changed at once`: {
			Version: "2", Upserts: &pb.Resources{Routes: []*pb.Route{route(0, "/x")}},
			Removals: removal(pb.ResourceName_ROUTE, "shop/route-0000"),
		},
		"is there twice":             {Version: "2", Upserts: &pb.Resources{Routes: []*pb.Route{route(7, "/x"), route(7, "/y")}}},
		"no path":                    {Version: "2", Upserts: &pb.Resources{Routes: []*pb.Route{route(1, "x")}}},
		"65536 is no port":           {Version: "2", Upserts: &pb.Resources{Clusters: []*pb.Cluster{{Name: "b", HealthCheck: &pb.HealthCheck{Port: 65_536}}}}},
		"(trust bundle ca)":          {Version: "2", Upserts: &pb.Resources{TrustBundles: []*pb.TrustBundle{{Name: "ca", File: "/absent"}}}},
		"chain and key cannot be us": {Version: "2", Upserts: &pb.Resources{Certificates: []*pb.Certificate{{Name: "c", ChainPem: []byte("x"), KeyPem: []byte("y")}}}},
	} {
		err := s.Offer(c)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	r.refuse = errors.New("no")
	if err := s.Offer(Change{Version: "2", All: true, Upserts: resources(3)}); !errors.Is(err, r.refuse) {
		t.Errorf("got %v", err)
	}
	if s.Config() != before || len(r.configs) != 1 {
		t.Error("a refused change changed something")
	}
}

func TestRefreshAfterDelta(t *testing.T) {
	chain, key := newCertificate(t)
	dir := write(t, map[string]string{"c": chain, "k": key})
	s := NewState(connect.Node{}, nil)
	files := &pb.Certificate{Name: "site", ChainFile: filepath.Join(dir, "c"), KeyFile: filepath.Join(dir, "k")}
	kept := proto.CloneOf(files)
	if err := s.Offer(Change{Version: "1", All: true, Upserts: &pb.Resources{Certificates: []*pb.Certificate{files}}}); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(files, kept) {
		t.Error("a message was changed")
	}
	if err := s.Offer(Change{Version: "2", Upserts: &pb.Resources{Clusters: []*pb.Cluster{{Name: "a"}}}}); err != nil {
		t.Fatal(err)
	}
	chain, key = newCertificate(t)
	put(t, filepath.Join(dir, "c"), chain)
	put(t, filepath.Join(dir, "k"), key)
	for range 3 {
		if err := s.Refresh(); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.Config(); string(got.Certificates[0].ChainPEM) != chain || got.Version != "2" || len(got.Clusters) != 1 {
		t.Error("the certificate was not read again")
	}
	removal := []*pb.ResourceName{{Kind: pb.ResourceName_CERTIFICATE, Name: "site"}}
	if err := s.Offer(Change{Version: "3", Removals: removal}); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := s.Refresh(); err != nil {
			t.Errorf("a file that nobody names is still watched: %v", err)
		}
	}
}

// TestDeltaTime holds the budget for one change among 5,000 routes, of which this
// package may take 3 ms. The fastest of some runs counts: the machine may be busy.
func TestDeltaTime(t *testing.T) {
	s := NewState(connect.Node{}, nil)
	if err := s.Offer(Change{Version: "0", All: true, Upserts: resources(5000)}); err != nil {
		t.Fatal(err)
	}
	best := time.Hour
	for i := range 20 {
		c := Change{Version: fmt.Sprint(i + 1), Upserts: &pb.Resources{Routes: []*pb.Route{route(2500, fmt.Sprintf("/%d", i))}}}
		start := time.Now()
		if err := s.Offer(c); err != nil {
			t.Fatal(err)
		}
		best = min(best, time.Since(start))
	}
	if budget := 3 * time.Millisecond * slowdown; best > budget {
		t.Errorf("a change took %v, want at most %v", best, budget)
	}
}

func BenchmarkDelta5000Routes(b *testing.B) {
	s := NewState(connect.Node{}, nil)
	if err := s.Offer(Change{Version: "0", All: true, Upserts: resources(5000)}); err != nil {
		b.Fatal(err)
	}
	i := 0
	for b.Loop() {
		i++
		if err := s.Offer(Change{Version: fmt.Sprint(i), Upserts: &pb.Resources{Routes: []*pb.Route{route(2500, fmt.Sprintf("/%d", i))}}}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSnapshot5000RoutesUnchanged(b *testing.B) {
	s := NewState(connect.Node{}, nil)
	m := resources(5000)
	i := 0
	for b.Loop() {
		i++
		if err := s.Offer(Change{Version: fmt.Sprint(i), All: true, Upserts: m}); err != nil {
			b.Fatal(err)
		}
	}
}
