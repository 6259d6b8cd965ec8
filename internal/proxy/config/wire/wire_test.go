package wire

import (
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/google/go-cmp/cmp"

	"github.com/tatami-platform/tatami/internal/core/connect"
	pb "github.com/tatami-platform/tatami/internal/proxy/config/configpb"
)

// fill sets every field of a message to something that is not its zero value.
func fill(m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		if fd.IsList() {
			list := m.Mutable(fd).List()
			list.Append(filled(fd, list.NewElement))
			continue
		}
		m.Set(fd, filled(fd, func() protoreflect.Value { return m.NewField(fd) }))
	}
}

func filled(fd protoreflect.FieldDescriptor, made func() protoreflect.Value) protoreflect.Value {
	switch fd.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString("127.0.0.1:" + fmt.Sprint(fd.Number()))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte{byte(fd.Number())})
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(1)
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(uint32(fd.Number()) + 1)
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(uint64(fd.Number()) + 1)
	case protoreflect.MessageKind:
		switch v := made(); v.Message().Interface().(type) {
		case *durationpb.Duration:
			return protoreflect.ValueOfMessage(durationpb.New(time.Duration(fd.Number()) * time.Second).ProtoReflect())
		case *timestamppb.Timestamp:
			return protoreflect.ValueOfMessage(timestamppb.New(time.Unix(1_700_000_000, 0)).ProtoReflect())
		default:
			fill(v.Message())
			return v
		}
	default:
		panic(fd.FullName())
	}
}

func full() *pb.Resources {
	m := &pb.Resources{}
	fill(m.ProtoReflect())
	return m
}

func decode(t *testing.T, m *pb.Resources) *connect.Config {
	t.Helper()
	c := &connect.Config{Version: "v", Node: Node(m.GetNode())}
	for _, x := range m.GetListeners() {
		c.Listeners = append(c.Listeners, Listener(x))
	}
	for _, x := range m.GetRoutes() {
		r, faults := Route(x)
		if faults != nil {
			t.Fatal(faults)
		}
		c.Routes = append(c.Routes, r)
	}
	for _, x := range m.GetStreamRoutes() {
		c.StreamRoutes = append(c.StreamRoutes, StreamRoute(x))
	}
	for _, x := range m.GetClusters() {
		r, faults := Cluster(x)
		if faults != nil {
			t.Fatal(faults)
		}
		c.Clusters = append(c.Clusters, r)
	}
	for _, x := range m.GetCertificates() {
		c.Certificates = append(c.Certificates, Certificate(x))
	}
	for _, x := range m.GetTrustBundles() {
		c.TrustBundles = append(c.TrustBundles, TrustBundle(x))
	}
	return c
}

// TestEveryFieldGoesBothWays fails when a field of a message is not translated.
func TestEveryFieldGoesBothWays(t *testing.T) {
	for name, files := range map[string]bool{"files": true, "text": false} {
		t.Run(name, func(t *testing.T) {
			m := full()
			for _, c := range m.GetCertificates() {
				if files {
					c.ChainPem, c.KeyPem = nil, nil
				} else {
					c.ChainFile, c.KeyFile = "", ""
				}
			}
			for _, b := range m.GetTrustBundles() {
				if files {
					b.Pem = nil
				} else {
					b.File = ""
				}
			}
			before := proto.CloneOf(m)
			got := Encode(decode(t, m))
			if diff := cmp.Diff(before, got, protocmp.Transform()); diff != "" {
				t.Error(diff)
			}
			if !proto.Equal(before, m) {
				t.Error("decoding changed its argument")
			}
		})
	}
}

// TestEveryFieldIsReached fails when a field of connect is left out of the wire.
func TestEveryFieldIsReached(t *testing.T) {
	var walk func(v reflect.Value, path string)
	walk = func(v reflect.Value, path string) {
		if v.IsZero() {
			t.Errorf("%s is never set", path)
			return
		}
		switch {
		case v.Kind() == reflect.Pointer:
			walk(v.Elem(), path)
		case v.Kind() == reflect.Slice && v.Type().Elem().Kind() != reflect.Uint8:
			walk(v.Index(0), path+"[0]")
		case v.Kind() == reflect.Struct && v.Type().PkgPath() == reflect.TypeFor[connect.Config]().PkgPath():
			for i := range v.NumField() {
				walk(v.Field(i), path+"."+v.Type().Field(i).Name)
			}
		}
	}
	walk(reflect.ValueOf(decode(t, full())).Elem(), "Config")
}

func TestValuesThatDoNotFitAreRefused(t *testing.T) {
	route := &pb.Route{Name: "r", Rules: []*pb.Rule{{}, {Filters: &pb.Filters{Redirect: &pb.Redirect{Port: 65_536}}}}}
	if _, faults := Route(route); len(faults) != 1 || faults[0].Field != "rules[1].filters.redirect.port" {
		t.Errorf("got %v, want one about the port", faults)
	}
	cluster := &pb.Cluster{Name: "c", HealthCheck: &pb.HealthCheck{Port: math.MaxUint32}}
	if _, faults := Cluster(cluster); len(faults) != 1 || faults[0].Field != "healthCheck.port" {
		t.Errorf("got %v, want one about the port", faults)
	}
	for name, l := range map[string]*pb.Listener{
		"an unknown protocol":   {Name: "l", Address: "127.0.0.1:80", Protocol: 256},
		"a negative protocol":   {Name: "l", Address: "127.0.0.1:80", Protocol: -1},
		"a body of 2^63 bytes":  {Name: "l", Address: "127.0.0.1:80", Http: &pb.HTTPOptions{MaxBodyBytes: 1 << 63}},
		"a time beyond all":     {Name: "l", Address: "127.0.0.1:80", Http: &pb.HTTPOptions{IdleTimeout: &durationpb.Duration{Seconds: math.MaxInt64}}},
		"an unknown TLS":        {Name: "l", Address: "127.0.0.1:80", Protocol: pb.Listener_TLS, Tls: &pb.ServerTLS{Certificates: []string{"c"}, MinVersion: 7}},
		"an unknown clientAuth": {Name: "l", Address: "127.0.0.1:80", Protocol: pb.Listener_TLS, Tls: &pb.ServerTLS{Certificates: []string{"c"}, ClientAuth: 256}},
	} {
		c := &connect.Config{
			Listeners:    []*connect.Listener{Listener(l)},
			Certificates: []*connect.Certificate{{Name: "c", ChainFile: "c", KeyFile: "k"}},
		}
		if connect.Validate(c) == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestDefaults(t *testing.T) {
	r, _ := Route(&pb.Route{Rules: []*pb.Rule{{Backends: []*pb.Backend{{Cluster: "a"}, {Cluster: "b", Weight: new(uint32(0))}}}}})
	if a, b := r.Rules[0].Backends[0].Weight, r.Rules[0].Backends[1].Weight; a != 1 || b != 0 {
		t.Errorf("weights %d and %d, want 1 (absent) and 0 (given)", a, b)
	}
	c, _ := Cluster(&pb.Cluster{HealthCheck: &pb.HealthCheck{ExpectFirst: 300}})
	if h := c.HealthCheck; h.ExpectFirst != 300 || h.ExpectLast != 300 {
		t.Errorf("expects %d to %d, want 300 to 300", h.ExpectFirst, h.ExpectLast)
	}
	c, _ = Cluster(&pb.Cluster{HealthCheck: &pb.HealthCheck{ExpectLast: 399}})
	if h := c.HealthCheck; h.ExpectFirst != 200 || h.ExpectLast != 399 {
		t.Errorf("expects %d to %d, want 200 to 399", h.ExpectFirst, h.ExpectLast)
	}
}
