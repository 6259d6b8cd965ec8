package connect

import (
	"net/netip"
	"strings"
	"time"
)

// The versions of TLS as they stand on the wire (RFC 8446, section 4.2.1).
const (
	versionTLS12 = 0x0303
	versionTLS13 = 0x0304
)

func (v *validator) node(n *Node) {
	f := field{name: "node", index: -1}
	v.label(f.sub("name"), n.Name)
	v.label(f.sub("service"), n.Service)
	v.label(f.sub("zone"), n.Zone)
	log := f.sub("accessLog")
	oneOf(v, log.sub("mode"), n.AccessLog.Mode, LogAll)
	oneOf(v, log.sub("format"), n.AccessLog.Format, LogText)
	if n.Tracing == nil {
		return
	}
	tracing := f.sub("tracing")
	scheme, rest, _ := strings.Cut(n.Tracing.Endpoint, "://")
	if (scheme != "http" && scheme != "https") || rest == "" || rest[0] == '/' || !visible(rest) {
		v.fail(tracing.sub("endpoint"), "%q is no URL; allowed: such as http://127.0.0.1:4318/v1/traces", n.Tracing.Endpoint)
	}
	inRange(v, tracing.sub("sample"), n.Tracing.Sample, 1, 1_000_000)
}

func (v *validator) listener(f *field, l *Listener) {
	v.address(f.sub("address"), l.Address)
	oneOf(v, f.sub("protocol"), l.Protocol, ProtocolTCP)
	if l.Hostname != "" {
		v.hostname(f.sub("hostname"), l.Hostname, true)
		if l.Protocol == ProtocolTCP {
			v.fail(f.sub("hostname"), "TCP has no hosts; allowed: nothing, or another protocol")
		}
	}
	inRange(v, f.sub("maxConnections"), l.MaxConnections, 1, 10_000_000)
	v.httpOptions(f.sub("http"), &l.HTTP)
	v.listenerTLS(f.sub("tls"), l)
}

func (v *validator) listenerTLS(f field, l *Listener) {
	switch {
	case l.Protocol == ProtocolHTTPS && l.TLS == nil:
		v.fail(f, "HTTPS needs it; name at least one certificate")
	case (l.Protocol == ProtocolHTTP || l.Protocol == ProtocolTCP) && l.TLS != nil:
		v.fail(f, "HTTP and TCP are plain text; allowed: protocol HTTPS or TLS, or no tls")
	}
	if l.TLS != nil {
		v.serverTLS(&f, l.TLS)
		v.clientAuth(&f, l.TLS)
	}
}

func (v *validator) serverTLS(f *field, t *ServerTLS) {
	if len(t.Certificates) == 0 {
		v.fail(f.sub("certificates"), "at least one certificate is required")
	}
	v.count(f.sub("certificates"), len(t.Certificates), maxCertificates)
	if t.MinVersion != 0 && t.MinVersion != versionTLS12 && t.MinVersion != versionTLS13 {
		v.fail(f.sub("minVersion"), "%#x is not accepted; allowed: TLS 1.2 and 1.3", t.MinVersion)
	}
	v.count(f.sub("alpn"), len(t.ALPN), 16)
	for i, protocol := range t.ALPN {
		if protocol == "" || len(protocol) > 255 {
			v.fail(f.at("alpn", i), "a protocol has 1 to 255 bytes")
		}
	}
}

func (v *validator) clientAuth(f *field, t *ServerTLS) {
	oneOf(v, f.sub("clientAuth"), t.ClientAuth, ClientAuthInsecure)
	verifies := t.ClientAuth == ClientAuthOptional || t.ClientAuth == ClientAuthRequire
	if verifies && t.ClientTrust == "" {
		v.fail(f.sub("clientTrust"), "client certificates are to be verified; name a trust bundle")
	}
	if t.ClientTrust != "" && t.ClientAuth == ClientAuthNone {
		v.fail(f.sub("clientAuth"), "there is a clientTrust that nothing uses; allowed: OPTIONAL, REQUIRE or INSECURE, or no clientTrust")
	}
	if len(t.AllowedIDs) > 0 && t.ClientAuth != ClientAuthRequire {
		v.fail(f.sub("allowedIds"), "clients are not required to have an identity; allowed with clientAuth REQUIRE only")
	}
	v.count(f.sub("allowedIds"), len(t.AllowedIDs), 1_000)
	for i, id := range t.AllowedIDs {
		v.identity(f.at("allowedIds", i), id)
	}
}

// identity checks a SPIFFE ID: exact, or a prefix that ends with /*.
func (v *validator) identity(f field, id string) {
	rest, found := strings.CutPrefix(strings.TrimSuffix(id, "/*"), "spiffe://")
	domain, path, _ := strings.Cut(rest, "/")
	if !found || !validHostname(domain) || len(id) > 2_048 || !visible(id) || strings.ContainsAny(path, "*?#%") {
		v.fail(f, "%q is no SPIFFE ID; allowed: such as spiffe://example.org/ns/shop/sa/web or spiffe://example.org/ns/shop/*", id)
	}
}

func (v *validator) httpOptions(f field, o *HTTPOptions) {
	inRange(v, f.sub("maxHeaderBytes"), o.MaxHeaderBytes, 1<<10, 1<<20)
	inRange(v, f.sub("maxHeaders"), o.MaxHeaders, 1, 1_000)
	inRange(v, f.sub("maxUriBytes"), o.MaxURIBytes, 1, 1<<16)
	inRange(v, f.sub("maxBodyBytes"), o.MaxBodyBytes, 1, 1<<50)
	inRange(v, f.sub("headerTimeout"), o.HeaderTimeout, time.Millisecond, time.Hour)
	v.timeout(f.sub("idleTimeout"), o.IdleTimeout)
	inRange(v, f.sub("maxStreams"), o.MaxStreams, 1, 10_000)
	inRange(v, f.sub("maxRequests"), o.MaxRequests, 1, 1<<30)
	inRange(v, f.sub("forwardedHops"), o.ForwardedHops, 1, 100)
}

func (v *validator) listenerRefs(f *field, l *Listener) {
	if l.TLS == nil {
		return
	}
	tls := f.sub("tls")
	for i, name := range l.TLS.Certificates {
		if v.certificates[name] == nil {
			v.missing(tls.at("certificates", i), "certificate", name)
		}
	}
	if l.TLS.ClientTrust != "" && v.bundles[l.TLS.ClientTrust] == nil {
		v.missing(tls.sub("clientTrust"), "trust bundle", l.TLS.ClientTrust)
	}
}

func (v *validator) missing(f field, kind, name string) {
	v.fail(f, "there is no %s %q; add it or correct the name", kind, name)
}

func (v *validator) certificate(f *field, c *Certificate) {
	if len(c.ChainPEM) == 0 && c.ChainFile == "" {
		v.fail(f.sub("chainFile"), "the chain is missing; give chainFile or chainPem")
	}
	if len(c.KeyPEM) == 0 && c.KeyFile == "" {
		v.fail(f.sub("keyFile"), "the key is missing; give keyFile or keyPem")
	}
}

func (v *validator) bundle(f *field, b *TrustBundle) {
	if len(b.PEM) == 0 && b.File == "" {
		v.fail(f.sub("file"), "the authorities are missing; give file or pem")
	}
}

// family is what may share an address: listeners of one family are told apart by
// Host or by SNI.
func (l *Listener) family() string {
	switch l.Protocol {
	case ProtocolHTTP:
		return "plain HTTP"
	case ProtocolHTTPS, ProtocolTLS:
		return "TLS"
	case ProtocolTCP:
	}
	return "TCP"
}

// addresses checks that listeners with one address can share it. Port 0 is
// another port for each of them.
func (v *validator) addresses(listeners []*Listener) {
	first := make(map[string]int, len(listeners))
	type site struct{ address, hostname string }
	sites := make(map[site]int, len(listeners))
	for i, l := range listeners {
		if l == nil {
			continue
		}
		key := l.Address
		if a, err := netip.ParseAddrPort(l.Address); err == nil {
			if a.Port() == 0 {
				continue
			}
			key = netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).String()
		}
		before := len(v.found.Problems)
		f := field{name: "listeners", index: i}
		j, shared := first[key]
		if !shared {
			first[key] = i
			sites[site{key, l.Hostname}] = i
			continue
		}
		v.share(&f, l, listeners[j])
		if k, taken := sites[site{key, l.Hostname}]; taken && l.family() != "TCP" {
			v.fail(f.sub("hostname"), "listener %q has the same address and hostname %q; allowed: another of both", listeners[k].Name, l.Hostname)
		}
		sites[site{key, l.Hostname}] = i
		v.attribute(before, l)
	}
}

func (v *validator) share(f *field, l, other *Listener) {
	switch {
	case l.family() != other.family():
		v.fail(f.sub("address"), "listener %q speaks %s on %s already; allowed: another address, or protocols that hosts tell apart", other.Name, other.family(), other.Address)
	case l.Protocol == ProtocolTCP:
		v.fail(f.sub("address"), "listener %q takes all of %s; allowed: another address", other.Name, other.Address)
	case l.ProxyProtocol != other.ProxyProtocol:
		v.fail(f.sub("proxyProtocol"), "listener %q on the same address says otherwise; allowed: the same for all", other.Name)
	}
}
