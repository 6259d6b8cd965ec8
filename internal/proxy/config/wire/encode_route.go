package wire

import (
	"github.com/tatami-platform/tatami/internal/core/connect"
	pb "github.com/tatami-platform/tatami/internal/proxy/config/configpb"
)

// EncodeRoute translates a route.
func EncodeRoute(r *connect.Route) *pb.Route {
	return &pb.Route{
		Name: r.Name, Listeners: list(r.Listeners), Hostnames: list(r.Hostnames),
		Created: stamp(r.Created), Rules: each(r.Rules, encodeRule),
	}
}

// EncodeStreamRoute translates a route for bytes.
func EncodeStreamRoute(r *connect.StreamRoute) *pb.StreamRoute {
	return &pb.StreamRoute{
		Name: r.Name, Listeners: list(r.Listeners), Hostnames: list(r.Hostnames),
		Created: stamp(r.Created), Backends: each(r.Backends, encodeBackend), IdleTimeout: span(r.IdleTimeout),
	}
}

func encodeRule(r connect.Rule) *pb.Rule {
	m := &pb.Rule{
		Name:           r.Name,
		Matches:        each(r.Matches, encodeMatch),
		Filters:        encodeFilters(&r.Filters),
		Backends:       each(r.Backends, encodeBackend),
		RequestTimeout: span(r.RequestTimeout),
		BackendTimeout: span(r.BackendTimeout),
		IdleTimeout:    span(r.IdleTimeout),
	}
	if x := r.Retry; x != nil {
		m.Retry = &pb.Retry{
			Attempts: uint32(x.Attempts), Codes: each(x.Codes, func(c int) uint32 { return uint32(c) }),
			Backoff: span(x.Backoff), NonIdempotent: x.NonIdempotent, MaxBodyBytes: uint32(x.MaxBodyBytes),
		}
	}
	if x := r.Session; x != nil {
		m.Session = &pb.Session{Cookie: x.Cookie, Header: x.Header, Path: x.Path, MaxAge: span(x.MaxAge)}
	}
	if x := r.RateLimit; x != nil {
		m.RateLimit = &pb.RateLimit{
			Requests: uint32(x.Requests), Interval: span(x.Interval), Burst: uint32(x.Burst), Status: uint32(x.Status),
		}
	}
	if x := r.Fault; x != nil {
		m.Fault = &pb.Fault{
			Delay: span(x.Delay), DelayPercent: x.DelayPercent,
			AbortStatus: uint32(x.AbortStatus), AbortPercent: x.AbortPercent, AbortGrpc: uint32(x.AbortGRPC),
		}
	}
	return m
}

func encodeMatch(x connect.Match) *pb.Match {
	m := &pb.Match{Method: x.Method, Headers: each(x.Headers, encodeValueMatch), Query: each(x.Query, encodeValueMatch)}
	if x.Path != (connect.PathMatch{}) {
		m.Path = &pb.PathMatch{Kind: pb.PathMatch_Kind(x.Path.Kind), Value: x.Path.Value}
	}
	return m
}

func encodeValueMatch(x connect.ValueMatch) *pb.ValueMatch {
	return &pb.ValueMatch{Name: x.Name, Kind: pb.ValueMatch_Kind(x.Kind), Value: x.Value, Invert: x.Invert}
}

func encodeBackend(b connect.Backend) *pb.Backend {
	m := &pb.Backend{
		Cluster: b.Cluster, Invalid: b.Invalid,
		RequestHeaders: encodeEdit(&b.RequestHeaders), ResponseHeaders: encodeEdit(&b.ResponseHeaders),
	}
	if b.Weight != 1 {
		m.Weight = new(b.Weight)
	}
	return m
}

func encodeEdit(e *connect.HeaderEdit) *pb.HeaderEdit {
	if len(e.Set)+len(e.Add)+len(e.Remove) == 0 {
		return nil
	}
	return &pb.HeaderEdit{Set: each(e.Set, encodeHeader), Add: each(e.Add, encodeHeader), Remove: list(e.Remove)}
}

func encodeHeader(h connect.HeaderValue) *pb.HeaderValue {
	return &pb.HeaderValue{Name: h.Name, Value: h.Value}
}

func encodeModifier(x connect.PathModifier) *pb.PathModifier {
	if x == (connect.PathModifier{}) {
		return nil
	}
	return &pb.PathModifier{Kind: pb.PathModifier_Kind(x.Kind), Value: x.Value}
}

// encodeFilters is nil where nothing is filtered.
func encodeFilters(f *connect.Filters) *pb.Filters {
	m := &pb.Filters{
		RequestHeaders: encodeEdit(&f.RequestHeaders), ResponseHeaders: encodeEdit(&f.ResponseHeaders),
		Mirrors: each(f.Mirrors, func(x connect.Mirror) *pb.Mirror {
			return &pb.Mirror{Cluster: x.Cluster, Numerator: x.Numerator, Denominator: x.Denominator}
		}),
	}
	empty := m.RequestHeaders == nil && m.ResponseHeaders == nil && m.Mirrors == nil
	if empty && f.Redirect == nil && f.Rewrite == nil && f.Direct == nil && f.CORS == nil {
		return nil
	}
	if x := f.Redirect; x != nil {
		m.Redirect = &pb.Redirect{
			Scheme: x.Scheme, Hostname: x.Hostname, Port: uint32(x.Port), Path: encodeModifier(x.Path), Status: uint32(x.Status),
		}
	}
	if x := f.Rewrite; x != nil {
		m.Rewrite = &pb.Rewrite{Hostname: x.Hostname, Path: encodeModifier(x.Path)}
	}
	if x := f.Direct; x != nil {
		m.Direct = &pb.DirectResponse{Status: uint32(x.Status), Headers: each(x.Headers, encodeHeader), Body: x.Body}
	}
	if x := f.CORS; x != nil {
		m.Cors = &pb.CORS{
			AllowOrigins: list(x.AllowOrigins), AllowCredentials: x.AllowCredentials, AllowMethods: list(x.AllowMethods),
			AllowHeaders: list(x.AllowHeaders), ExposeHeaders: list(x.ExposeHeaders), MaxAge: span(x.MaxAge),
		}
	}
	return m
}
