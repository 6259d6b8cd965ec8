package connect

import (
	"strings"
	"time"
)

const (
	maxEndpoints = 10_000
	maxWeight    = 1_000_000 // as in the Gateway API
)

func (v *validator) cluster(f *field, c *Cluster) {
	v.label(f.sub("service"), c.Service)
	v.endpoints(f, c.Endpoints)
	oneOf(v, f.sub("protocol"), c.Protocol, UpstreamHTTP2)
	if c.TLS != nil {
		v.clientTLS(f.sub("tls"), c.TLS)
	}
	v.balance(f.sub("balance"), &c.Balance)
	if c.HealthCheck != nil {
		v.healthCheck(f.sub("healthCheck"), c.HealthCheck)
	}
	if c.Outlier != nil {
		v.outlier(f.sub("outlier"), c.Outlier)
	}
	breaker := f.sub("breaker")
	inRange(v, breaker.sub("maxConnections"), c.Breaker.MaxConnections, 1, 1_000_000)
	inRange(v, breaker.sub("maxPending"), c.Breaker.MaxPending, 1, 1_000_000)
	inRange(v, breaker.sub("maxRequests"), c.Breaker.MaxRequests, 1, 10_000_000)
	v.percent(breaker.sub("retryBudget"), c.Breaker.RetryBudget)
	if c.ProxyProtocol > 2 {
		v.fail(f.sub("proxyProtocol"), "%d is no version; allowed: 1, 2, or 0 for none", c.ProxyProtocol)
	}
	inRange(v, f.sub("connectTimeout"), c.ConnectTimeout, time.Millisecond, 5*time.Minute)
	v.timeout(f.sub("idleTimeout"), c.IdleTimeout)
	inRange(v, f.sub("maxRequests"), c.MaxRequests, 1, 1<<30)
}

func (v *validator) endpoints(f *field, endpoints []Endpoint) {
	v.count(f.sub("endpoints"), len(endpoints), maxEndpoints)
	seen := make(map[string]struct{}, len(endpoints))
	for i := range endpoints {
		e := &endpoints[i]
		at := f.at("endpoints", i)
		addr := v.address(at.sub("address"), e.Address)
		switch {
		case addr.IsValid() && addr.Port() == 0:
			v.fail(at.sub("address"), "%q has no port; allowed: 1 to 65535", e.Address)
		case addr.IsValid() && addr.Addr().IsUnspecified():
			v.fail(at.sub("address"), "%q is all addresses; allowed: one", e.Address)
		case addr != e.Addr:
			v.fail(at.sub("address"), "%q is not what was parsed, %v", e.Address, e.Addr)
		}
		if _, taken := seen[e.Address]; taken {
			v.fail(at.sub("address"), "%q is there twice; give one of them more weight instead", e.Address)
		}
		seen[e.Address] = struct{}{}
		v.label(at.sub("zone"), e.Zone)
		inRange(v, at.sub("weight"), e.Weight, 1, maxWeight)
	}
}

func (v *validator) clientTLS(f field, t *ClientTLS) {
	if t.ServerName != "" {
		v.hostname(f.sub("serverName"), t.ServerName, false)
	}
	if t.ServerName == "" && len(t.SubjectAltNames) == 0 && !t.Insecure {
		v.fail(f.sub("serverName"), "there is no name to verify; give serverName or subjectAltNames")
	}
	v.count(f.sub("subjectAltNames"), len(t.SubjectAltNames), 64)
	for i, name := range t.SubjectAltNames {
		at := f.at("subjectAltNames", i)
		if strings.Contains(name, "://") {
			v.name(at, name)
			continue
		}
		v.hostname(at, name, true)
	}
}

func (v *validator) clusterRefs(f *field, c *Cluster) {
	if c.TLS == nil {
		return
	}
	tls := f.sub("tls")
	if c.TLS.Trust != "" && v.bundles[c.TLS.Trust] == nil {
		v.missing(tls.sub("trust"), "trust bundle", c.TLS.Trust)
	}
	if c.TLS.Certificate != "" && v.certificates[c.TLS.Certificate] == nil {
		v.missing(tls.sub("certificate"), "certificate", c.TLS.Certificate)
	}
}

func (v *validator) balance(f field, b *Balance) {
	oneOf(v, f.sub("policy"), b.Policy, PolicyRandom)
	hash := f.sub("hashOn")
	if b.HashOn != (HashKey{}) && b.Policy != PolicyRingHash {
		v.fail(hash, "only RING_HASH hashes; allowed: that policy, or no hashOn")
	}
	if b.HashOn.Header != "" && b.HashOn.Cookie != "" {
		v.fail(hash, "there are a header and a cookie; allowed: one of them")
	}
	if b.HashOn.Header != "" {
		v.token(hash.sub("header"), b.HashOn.Header)
	}
	if b.HashOn.Cookie != "" {
		v.token(hash.sub("cookie"), b.HashOn.Cookie)
	}
	v.percent(f.sub("spillAt"), int(b.SpillAt))
}

func (v *validator) healthCheck(f field, h *HealthCheck) {
	oneOf(v, f.sub("protocol"), h.Protocol, CheckTCP)
	if h.Path != "" {
		if !strings.HasPrefix(h.Path, "/") || !visible(h.Path) || len(h.Path) > maxPath {
			v.fail(f.sub("path"), "%q is no path; allowed: / and what follows, a query too", h.Path)
		}
		if h.Protocol != CheckHTTP {
			v.fail(f.sub("path"), "only HTTP has one; allowed: protocol HTTP, or no path")
		}
	}
	if h.Host != "" && (!visible(h.Host) || strings.ContainsAny(h.Host, "/?#@") || len(h.Host) > maxHostname) {
		v.fail(f.sub("host"), "%q is no host; allowed: a hostname or address, and a port if needed", h.Host)
	}
	v.label(f.sub("service"), h.Service)
	v.expected(&f, h.ExpectFirst, h.ExpectLast)
	inRange(v, f.sub("interval"), h.Interval, 100*time.Millisecond, 24*time.Hour)
	inRange(v, f.sub("timeout"), h.Timeout, time.Millisecond, 5*time.Minute)
	inRange(v, f.sub("healthy"), h.Healthy, 1, 100)
	inRange(v, f.sub("unhealthy"), h.Unhealthy, 1, 100)
}

// expected checks a range of statuses; zeros are the default.
func (v *validator) expected(f *field, first, last int) {
	if first == 0 && last == 0 {
		return
	}
	v.status(f.sub("expectFirst"), first, 100)
	v.status(f.sub("expectLast"), last, 100)
	if first > last {
		v.fail(f.sub("expectLast"), "%d is less than expectFirst; allowed: %d to 599", last, first)
	}
}

func (v *validator) outlier(f field, o *Outlier) {
	inRange(v, f.sub("failures"), o.Failures, 1, 1_000)
	inRange(v, f.sub("baseTime"), o.BaseTime, time.Millisecond, time.Hour)
	inRange(v, f.sub("maxTime"), o.MaxTime, time.Millisecond, 24*time.Hour)
	if o.MaxTime != 0 && o.BaseTime > o.MaxTime {
		v.fail(f.sub("maxTime"), "%v is less than baseTime; allowed: at least %v", o.MaxTime, o.BaseTime)
	}
	v.percent(f.sub("maxPercent"), o.MaxPercent)
}
