package wire

import (
	"fmt"
	"math"

	"github.com/tatami-platform/tatami/internal/core/connect"
	pb "github.com/tatami-platform/tatami/internal/proxy/config/configpb"
)

// Route translates a route; the ports of its redirects may be none.
func Route(m *pb.Route) (*connect.Route, []PortError) {
	var faults []PortError
	for i, rule := range m.GetRules() {
		if port := rule.GetFilters().GetRedirect().GetPort(); port > math.MaxUint16 {
			faults = append(faults, PortError{Field: fmt.Sprintf("rules[%d].filters.redirect.port", i), Port: port})
		}
	}
	return &connect.Route{
		Name: m.GetName(), Listeners: list(m.GetListeners()), Hostnames: list(m.GetHostnames()),
		Created: created(m.GetCreated()), Rules: each(m.GetRules(), rule),
	}, faults
}

// StreamRoute translates a route for bytes.
func StreamRoute(m *pb.StreamRoute) *connect.StreamRoute {
	return &connect.StreamRoute{
		Name: m.GetName(), Listeners: list(m.GetListeners()), Hostnames: list(m.GetHostnames()),
		Created: created(m.GetCreated()), Backends: each(m.GetBackends(), backend),
		IdleTimeout: duration(m.GetIdleTimeout()),
	}
}

func rule(m *pb.Rule) connect.Rule {
	return connect.Rule{
		Name:           m.GetName(),
		Matches:        each(m.GetMatches(), match),
		Filters:        filters(m.GetFilters()),
		Backends:       each(m.GetBackends(), backend),
		RequestTimeout: duration(m.GetRequestTimeout()),
		BackendTimeout: duration(m.GetBackendTimeout()),
		IdleTimeout:    duration(m.GetIdleTimeout()),
		Retry:          retry(m.GetRetry()),
		Session:        session(m.GetSession()),
		RateLimit:      rateLimit(m.GetRateLimit()),
		Fault:          fault(m.GetFault()),
	}
}

func match(m *pb.Match) connect.Match {
	out := connect.Match{
		Method:  m.GetMethod(),
		Headers: each(m.GetHeaders(), valueMatch),
		Query:   each(m.GetQuery(), valueMatch),
	}
	if p := m.GetPath(); p != nil {
		out.Path = connect.PathMatch{Kind: enum[connect.PathKind](p.GetKind()), Value: p.GetValue()}
	}
	return out
}

func valueMatch(m *pb.ValueMatch) connect.ValueMatch {
	return connect.ValueMatch{
		Name: m.GetName(), Kind: enum[connect.ValueKind](m.GetKind()), Value: m.GetValue(), Invert: m.GetInvert(),
	}
}

func backend(m *pb.Backend) connect.Backend {
	b := connect.Backend{
		Cluster: m.GetCluster(), Weight: 1, Invalid: m.GetInvalid(),
		RequestHeaders: edit(m.GetRequestHeaders()), ResponseHeaders: edit(m.GetResponseHeaders()),
	}
	if m.Weight != nil {
		b.Weight = m.GetWeight()
	}
	return b
}

func edit(m *pb.HeaderEdit) connect.HeaderEdit {
	return connect.HeaderEdit{Set: each(m.GetSet(), header), Add: each(m.GetAdd(), header), Remove: list(m.GetRemove())}
}

func header(m *pb.HeaderValue) connect.HeaderValue {
	return connect.HeaderValue{Name: m.GetName(), Value: m.GetValue()}
}

func modifier(m *pb.PathModifier) connect.PathModifier {
	return connect.PathModifier{Kind: enum[connect.ReplaceKind](m.GetKind()), Value: m.GetValue()}
}

func filters(m *pb.Filters) connect.Filters {
	f := connect.Filters{
		RequestHeaders:  edit(m.GetRequestHeaders()),
		ResponseHeaders: edit(m.GetResponseHeaders()),
		Mirrors: each(m.GetMirrors(), func(m *pb.Mirror) connect.Mirror {
			return connect.Mirror{Cluster: m.GetCluster(), Numerator: m.GetNumerator(), Denominator: m.GetDenominator()}
		}),
	}
	if r := m.GetRedirect(); r != nil {
		f.Redirect = &connect.Redirect{
			Scheme: r.GetScheme(), Hostname: r.GetHostname(), Port: uint16(min(r.GetPort(), math.MaxUint16)),
			Path: modifier(r.GetPath()), Status: int(r.GetStatus()),
		}
	}
	if r := m.GetRewrite(); r != nil {
		f.Rewrite = &connect.Rewrite{Hostname: r.GetHostname(), Path: modifier(r.GetPath())}
	}
	if d := m.GetDirect(); d != nil {
		f.Direct = &connect.DirectResponse{Status: int(d.GetStatus()), Headers: each(d.GetHeaders(), header), Body: d.GetBody()}
	}
	if c := m.GetCors(); c != nil {
		f.CORS = &connect.CORS{
			AllowOrigins: list(c.GetAllowOrigins()), AllowCredentials: c.GetAllowCredentials(),
			AllowMethods: list(c.GetAllowMethods()), AllowHeaders: list(c.GetAllowHeaders()),
			ExposeHeaders: list(c.GetExposeHeaders()), MaxAge: duration(c.GetMaxAge()),
		}
	}
	return f
}

func retry(m *pb.Retry) *connect.Retry {
	if m == nil {
		return nil
	}
	return &connect.Retry{
		Attempts: int(m.GetAttempts()), Codes: each(m.GetCodes(), func(c uint32) int { return int(c) }),
		Backoff: duration(m.GetBackoff()), NonIdempotent: m.GetNonIdempotent(), MaxBodyBytes: int(m.GetMaxBodyBytes()),
	}
}

func session(m *pb.Session) *connect.Session {
	if m == nil {
		return nil
	}
	return &connect.Session{Cookie: m.GetCookie(), Header: m.GetHeader(), Path: m.GetPath(), MaxAge: duration(m.GetMaxAge())}
}

func rateLimit(m *pb.RateLimit) *connect.RateLimit {
	if m == nil {
		return nil
	}
	return &connect.RateLimit{
		Requests: int(m.GetRequests()), Interval: duration(m.GetInterval()),
		Burst: int(m.GetBurst()), Status: int(m.GetStatus()),
	}
}

func fault(m *pb.Fault) *connect.Fault {
	if m == nil {
		return nil
	}
	return &connect.Fault{
		Delay: duration(m.GetDelay()), DelayPercent: m.GetDelayPercent(),
		AbortStatus: int(m.GetAbortStatus()), AbortPercent: m.GetAbortPercent(), AbortGRPC: int(m.GetAbortGrpc()),
	}
}
