package route

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/core/connect/message"
)

const (
	// maxConditions is how many headers, and how many parameters, a match may compare.
	maxConditions = 64
	// maxRegexLength in bytes and maxRegexSize in instructions of the program bound
	// what one expression costs per request and in memory.
	maxRegexLength = 1024
	maxRegexSize   = 5000
)

func item(field string, i int) string { return fmt.Sprintf("%s[%d]", field, i) }

// route compiles a route. before is the route of this name in the old table.
func (c *compiler) route(config *connect.Route, before *Route) *Route {
	c.problems.within("route", config.Name)
	r := &Route{Config: config, Rules: make([]Rule, len(config.Rules)), hosts: c.hosts(config.Hostnames)}
	count := 0
	for i := range config.Rules {
		count += max(len(config.Rules[i].Matches), 1)
	}
	r.matches = make([]match, 0, count)
	for i := range config.Rules {
		var old *Rule
		if before != nil && i < len(before.Rules) {
			old = &before.Rules[i]
		}
		rule := &r.Rules[i]
		rule.Route, rule.Config, rule.Index = r, &config.Rules[i], i
		c.rule(rule, old)
		field := item("rules", i)
		for j := range rule.Config.Matches {
			r.matches = append(r.matches, c.match(rule, j, field+"."+item("matches", j)))
		}
		if len(rule.Config.Matches) == 0 {
			m := match{rule: rule}
			m.rank(true)
			r.matches = append(r.matches, m)
		}
	}
	return r
}

// hosts keeps the configured slice when its names are clean already.
func (c *compiler) hosts(names []string) []string {
	hosts, own := names, false
	for i, name := range names {
		clean, err := cleanHostname(name)
		if err != nil || name == "" {
			c.problems.add(item("hostnames", i), "%q: %v", name, errHostname)
			continue
		}
		if clean == name {
			continue
		}
		if !own {
			hosts, own = append([]string(nil), names...), true
		}
		hosts[i] = clean
	}
	return hosts
}

// rule compiles what is done with requests.
func (c *compiler) rule(r *Rule, old *Rule) {
	field, f := item("rules", r.Index), &r.Config.Filters
	r.Request = c.edit(field+".filters.requestHeaders", &f.RequestHeaders, request)
	r.Response = c.edit(field+".filters.responseHeaders", &f.ResponseHeaders, response)
	if f.CORS != nil {
		r.CORS = c.cors(field+".filters.cors", f.CORS)
	}
	c.checkFilters(r, field+".filters")
	r.Limit = limit(r.Config.RateLimit, old)
	c.checkPolicies(r, field)
	c.checkBackends(field+".backends", r.Config.Backends)
	r.weights = c.sequences.weigh(r.Config.Backends)
	r.Backends = make([]Backend, len(r.Config.Backends))
	for i := range r.Backends {
		b := &r.Config.Backends[i]
		at := field + "." + item("backends", i)
		r.Backends[i] = Backend{
			Config:   b,
			Request:  c.edit(at+".requestHeaders", &b.RequestHeaders, request),
			Response: c.edit(at+".responseHeaders", &b.ResponseHeaders, response),
		}
	}
}

// checkPolicies holds rate limit and session.
func (c *compiler) checkPolicies(r *Rule, field string) {
	if l := r.Config.RateLimit; l != nil && (l.Requests <= 0 || l.Burst < 0 || l.Interval < 0) {
		c.problems.add(field+".rateLimit", "want requests above 0, and interval and burst not below")
	}
	if s := r.Config.Session; s != nil && (s.Cookie == "") == (s.Header == "") {
		c.problems.add(field+".session", "want a cookie or a header, not both")
	} else if s != nil && (!isToken(s.Cookie+s.Header) || !isFieldValue(s.Path) || strings.Contains(s.Path, ";")) {
		c.problems.add(field+".session", "%q with path %q is no name and path of a cookie or header", s.Cookie+s.Header, s.Path)
	}
}

func (c *compiler) checkBackends(field string, backends []connect.Backend) {
	if len(backends) > maxBackends {
		c.problems.add(field, "there are %d; want at most %d", len(backends), maxBackends)
	}
	for i := range backends {
		if backends[i].Weight > maxWeight {
			c.problems.add(item(field, i)+".weight", "%d is too large; want at most %d", backends[i].Weight, maxWeight)
		}
	}
}

// match compiles what a request must be like.
func (c *compiler) match(rule *Rule, index int, field string) match {
	config := &rule.Config.Matches[index]
	m := match{rule: rule, index: index, kind: config.Path.Kind, method: config.Method}
	slash := c.path(&m, field+".path", config.Path.Value)
	if config.Method != "" && !isToken(config.Method) {
		c.problems.add(field+".method", "%q is no method", config.Method)
	}
	m.headers = c.values(field+".headers", config.Headers, true)
	m.query = c.values(field+".query", config.Query, false)
	m.rank(slash)
	return m
}

// path sets path and regex, and says whether the value had a slash at its end. The
// value is brought into the form that requests have (Normalize).
func (c *compiler) path(m *match, field, value string) bool {
	if len(value) > maxPathLength {
		c.problems.add(field, "it has %d bytes; want at most %d", len(value), maxPathLength)
		return false
	}
	if m.kind == connect.PathRegex {
		m.path, m.regex = value, c.regex(field, value)
		return false
	}
	if m.kind > connect.PathRegex {
		c.problems.add(field, "there is no kind %d; want exact, prefix or regex", m.kind)
		return false
	}
	if value == "" && m.kind == connect.PathPrefix {
		value = "/"
	}
	path, err := Normalize(value)
	if err != nil || strings.ContainsAny(value, "?#") || value == "" || value == "*" {
		c.problems.add(field, "%q is no path; want one that begins with a slash, without query", value)
		return false
	}
	m.path = path
	if m.kind == connect.PathPrefix {
		m.path = strings.TrimSuffix(path, "/")
	}
	return len(m.path) < len(path)
}

// values compiles conditions. Of several with one name only the first counts (the
// Gateway API has it so).
func (c *compiler) values(field string, configs []connect.ValueMatch, header bool) []valueMatch {
	if len(configs) == 0 {
		return nil
	}
	if len(configs) > maxConditions {
		c.problems.add(field, "there are %d; want at most %d", len(configs), maxConditions)
		return nil
	}
	list := make([]valueMatch, 0, len(configs))
	for i := range configs {
		m := c.value(item(field, i), &configs[i], header)
		if !hasName(list, m.name) {
			list = append(list, m)
		}
	}
	return list
}

func hasName(list []valueMatch, name string) bool {
	for i := range list {
		if list[i].name == name {
			return true
		}
	}
	return false
}

func (c *compiler) value(field string, config *connect.ValueMatch, header bool) valueMatch {
	m := valueMatch{name: config.Name, kind: config.Kind, invert: config.Invert, value: config.Value}
	if header {
		m.id, m.name = message.Lookup(config.Name), strings.ToLower(config.Name)
		if !isToken(m.name) {
			c.problems.add(field+".name", "%q is no name of a header", config.Name)
		}
	}
	if m.name == "" {
		c.problems.add(field+".name", "it is empty")
	}
	switch config.Kind {
	case connect.ValueRegex:
		m.regex = c.regex(field+".value", config.Value)
	case connect.ValueRange:
		var ok bool
		if m.first, m.end, ok = parseRange(config.Value); !ok {
			c.problems.add(field+".value", `%q is no range; want two integers such as "10-20", the first below the last`, config.Value)
		}
	case connect.ValueExact, connect.ValuePresent, connect.ValuePrefix, connect.ValueSuffix:
	default:
		c.problems.add(field+".kind", "there is no kind %d", config.Kind)
	}
	return m
}

// regex compiles an expression for whole values; nil when it is refused.
func (c *compiler) regex(field, expression string) *regexp.Regexp {
	if re, ok := c.regexes[expression]; ok {
		return re
	}
	if len(expression) > maxRegexLength {
		c.problems.add(field, "the expression has %d bytes; want at most %d", len(expression), maxRegexLength)
		return nil
	}
	tree, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		c.problems.add(field, "%v; want RE2 syntax", err)
		return nil
	}
	if size := regexSize(tree); size > maxRegexSize {
		c.problems.add(field, "expression %q needs a program of about %d steps; want at most %d, with smaller repeats",
			expression, size, maxRegexSize)
		return nil
	}
	re, err := regexp.Compile(`\A(?:` + expression + `)\z`)
	if err != nil {
		c.problems.add(field, "%v; want RE2 syntax", err)
		return nil
	}
	c.regexes[expression] = re
	return re
}

// regexSize estimates the instructions of a program: repeats are written out.
func regexSize(re *syntax.Regexp) int {
	size := 1 + len(re.Rune)
	for _, sub := range re.Sub {
		size = min(size+regexSize(sub), 1<<20)
	}
	if re.Op == syntax.OpRepeat {
		size = min(size*max(re.Min, re.Max, 1), 1<<20)
	}
	return size
}

// stream compiles a stream route.
func (c *compiler) stream(config *connect.StreamRoute) *Stream {
	c.problems.within("stream route", config.Name)
	s := &Stream{Config: config, hosts: c.hosts(config.Hostnames)}
	c.checkBackends("backends", config.Backends)
	s.weights = c.sequences.weigh(config.Backends)
	return s
}
