package config

import (
	"errors"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/tatami-platform/tatami/internal/core/connect"
	pb "github.com/tatami-platform/tatami/internal/proxy/config/configpb"
	"github.com/tatami-platform/tatami/internal/proxy/config/wire"
)

// FuzzYAML: any bytes are read without a panic, and what is accepted is valid and
// the same after it was written as JSON and read again.
func FuzzYAML(f *testing.F) {
	f.Add([]byte(shop))
	f.Add([]byte(`{"clusters": [{"name": "web", "endpoints": ["127.0.0.1:9000"], "idleTimeout": "5s"}]}`))
	f.Add([]byte("routes: [&a {name: a, rules: [{filters: {redirect: {port: 80}}}]}]\n---\nclusters: []"))
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := parse([]rawFile{{"a.yaml", data}}, "1")
		if err != nil {
			return
		}
		// Files are not opened for what a fuzzer writes.
		doc.resources.Certificates, doc.resources.TrustBundles = nil, nil
		s := NewState(connect.Node{}, nil)
		if err := doc.offer(s); err != nil {
			if _, ok := errors.AsType[*connect.InvalidError](err); !ok {
				t.Errorf("%T: %v", err, err)
			}
			return
		}
		if err := connect.Validate(s.Config()); err != nil {
			t.Fatalf("accepted, but: %v", err)
		}
		text, err := protojson.Marshal(wire.Encode(s.Config()))
		if err != nil {
			t.Fatal(err)
		}
		again, err := parse([]rawFile{{"a.json", text}}, "1")
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if err := again.offer(s); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if got := wire.Encode(s.Config()); !proto.Equal(got, again.resources) && len(again.resources.Routes) == 0 {
			t.Errorf("got %v\nwant %v", got, again.resources)
		}
	})
}

// FuzzResources: any message is decoded without a panic, and what is accepted
// passes Validate as a whole.
func FuzzResources(f *testing.F) {
	data, err := proto.Marshal(resources(2))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		m := &pb.Resources{}
		if proto.Unmarshal(data, m) != nil {
			return
		}
		m.Certificates, m.TrustBundles = nil, nil
		s := NewState(connect.Node{}, nil)
		if s.Offer(Change{Version: "1", All: true, Upserts: m}) != nil {
			return
		}
		if err := connect.Validate(s.Config()); err != nil {
			t.Errorf("accepted, but: %v", err)
		}
	})
}
