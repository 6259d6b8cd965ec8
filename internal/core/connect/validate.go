package connect

import (
	"fmt"
	"strconv"
	"strings"
)

// MaxProblems bounds what one InvalidError lists: nobody reads more, and a broken
// generator would fill the memory of whoever reports it.
const MaxProblems = 50

// How many resources of a kind there may be. They are far above what a proxy of
// this design should carry and far below what would take its memory.
const (
	maxListeners    = 1_000
	maxRoutes       = 100_000
	maxStreamRoutes = 10_000
	maxClusters     = 50_000
	maxCertificates = 10_000
	maxBundles      = 1_000
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	// Field is the path as in a file: routes[3].rules[0].matches[1].path.value.
	Field string
	// Resource is kind and name of the resource, e.g. "route shop/web"; empty for
	// the node.
	Resource string
	// Text says what is wrong and what is allowed.
	Text string
}

// String is the path, what is wrong, and the resource's name.
func (p Problem) String() string {
	if p.Resource == "" {
		return p.Field + ": " + p.Text
	}
	return p.Field + ": " + p.Text + " (" + p.Resource + ")"
}

// InvalidError says all that is wrong with a configuration, up to MaxProblems.
type InvalidError struct {
	Problems []Problem
	// Omitted counts the problems above MaxProblems.
	Omitted int
}

// Add notes a problem.
func (e *InvalidError) Add(p Problem) {
	if len(e.Problems) >= MaxProblems {
		e.Omitted++
		return
	}
	e.Problems = append(e.Problems, p)
}

// Err is e, or nil without problems.
func (e *InvalidError) Err() error {
	if len(e.Problems) == 0 {
		return nil
	}
	return e
}

// Reasons has one line per problem and one for those that were omitted; at most
// MaxProblems lines in all.
func (e *InvalidError) Reasons() []string {
	shown := e.Problems
	omitted := e.Omitted
	if omitted > 0 && len(shown) == MaxProblems {
		shown = shown[:MaxProblems-1]
		omitted++
	}
	lines := make([]string, 0, len(shown)+1)
	for _, p := range shown {
		lines = append(lines, p.String())
	}
	if omitted > 0 {
		lines = append(lines, fmt.Sprintf("and %d more problems", omitted))
	}
	return lines
}

// Error has one line per problem.
func (e *InvalidError) Error() string { return strings.Join(e.Reasons(), "\n") }

// Validate holds a configuration against everything that a proxy relies on: unique
// names, references that exist, addresses, hostnames and expressions that parse,
// listeners that can share their address, numbers within their limits. The error
// is an *InvalidError with all problems.
func Validate(c *Config) error { return ValidateChange(nil, c) }

// ValidateChange is Validate for a configuration that shares resources with old,
// which was valid: what has the same pointer there is only checked against the
// resources that it refers to. O(resources), without old O(size).
func ValidateChange(old, next *Config) error {
	if old == nil {
		old = &Config{}
	}
	v := &validator{}
	v.node(&next.Node)
	v.listeners = collect(v, "listeners", maxListeners, next.Listeners)
	v.clusters = collect(v, "clusters", maxClusters, next.Clusters)
	v.certificates = collect(v, "certificates", maxCertificates, next.Certificates)
	v.bundles = collect(v, "trustBundles", maxBundles, next.TrustBundles)
	// Nothing refers to routes: in the order of names, none can be there twice.
	if !ascending(next.Routes) || len(next.Routes) > maxRoutes {
		collect(v, "routes", maxRoutes, next.Routes)
	}
	collect(v, "streamRoutes", maxStreamRoutes, next.StreamRoutes)

	each(v, "listeners", old.Listeners, next.Listeners, v.listener, v.listenerRefs)
	each(v, "routes", old.Routes, next.Routes, v.route, v.routeRefs)
	each(v, "streamRoutes", old.StreamRoutes, next.StreamRoutes, v.streamRoute, v.streamRouteRefs)
	each(v, "clusters", old.Clusters, next.Clusters, v.cluster, v.clusterRefs)
	each(v, "certificates", old.Certificates, next.Certificates, v.certificate, nil)
	each(v, "trustBundles", old.TrustBundles, next.TrustBundles, v.bundle, nil)
	v.addresses(next.Listeners)
	return v.found.Err()
}

// validator collects problems and knows what may be referred to.
type validator struct {
	found        InvalidError
	listeners    map[string]*Listener
	clusters     map[string]*Cluster
	certificates map[string]*Certificate
	bundles      map[string]*TrustBundle
}

// named is what has a name that is unique within its kind.
type named interface{ resource() (kind, name string) }

func (l *Listener) resource() (kind, name string)    { return "listener", l.Name }
func (r *Route) resource() (kind, name string)       { return "route", r.Name }
func (r *StreamRoute) resource() (kind, name string) { return "stream route", r.Name }
func (c *Cluster) resource() (kind, name string)     { return "cluster", c.Name }
func (c *Certificate) resource() (kind, name string) { return "certificate", c.Name }
func (b *TrustBundle) resource() (kind, name string) { return "trust bundle", b.Name }

// resourceOf is a pointer to a resource, which may be nil.
type resourceOf[T any] interface {
	*T
	named
}

// collect checks names and returns the resources by name. Resources that are nil
// are a fault of our own code; they are refused here and passed over later.
func collect[T any, P resourceOf[T]](v *validator, kind string, limit int, list []P) map[string]P {
	all := field{name: kind, index: -1}
	if len(list) > limit {
		v.fail(all, "there are %d; allowed: at most %d", len(list), limit)
	}
	byName := make(map[string]P, len(list))
	for i, r := range list {
		f := field{name: kind, index: i}
		if r == nil {
			v.fail(f, "there is no resource")
			continue
		}
		_, name := r.resource()
		if _, taken := byName[name]; taken {
			v.fail(f.sub("name"), "%q is already taken; allowed: a name that no other of %s has", name, kind)
			continue
		}
		byName[name] = r
	}
	return byName
}

// ascending says that each name comes after the one before it.
func ascending[T any, P resourceOf[T]](list []P) bool {
	last := ""
	for i, r := range list {
		if r == nil {
			return false
		}
		_, name := r.resource()
		if i > 0 && name <= last {
			return false
		}
		last = name
	}
	return true
}

// each checks the values of what changed and the references of all. Either check
// may be nil.
func each[T any, P resourceOf[T]](v *validator, kind string, old, next []P, values, refs func(*field, P)) {
	f := field{name: kind}
	passed := 0 // of old; both are in the order of names as a rule, else more is checked
	for i, r := range next {
		if r == nil {
			continue
		}
		before := len(v.found.Problems)
		f.index = i
		_, name := r.resource()
		passed += namesBefore(old[passed:], name)
		if passed == len(old) || old[passed] != r {
			v.name(f.sub("name"), name)
			values(&f, r)
		}
		if refs != nil {
			refs(&f, r)
		}
		v.attribute(before, r)
	}
}

// namesBefore counts the resources at the front whose names come before name.
func namesBefore[T any, P resourceOf[T]](list []P, name string) int {
	for i, r := range list {
		if r == nil {
			continue
		}
		if _, other := r.resource(); other >= name {
			return i
		}
	}
	return len(list)
}

// attribute writes kind and name to the problems found since before. It is done
// afterwards so that valid resources cost nothing.
func (v *validator) attribute(before int, r named) {
	if len(v.found.Problems) == before {
		return
	}
	kind, name := r.resource()
	for i := before; i < len(v.found.Problems); i++ {
		v.found.Problems[i].Resource = strings.TrimSpace(kind + " " + name)
	}
}

func (v *validator) fail(f field, format string, args ...any) {
	// The copy tells the compiler that nothing of f is kept, so that all fields of
	// valid configurations stay on the stack.
	v.found.Add(Problem{Field: strings.Clone(f.String()), Text: fmt.Sprintf(format, args...)})
}

// field is a place in a configuration. It is a chain on the stack; the text is
// made only where something is wrong.
type field struct {
	parent *field
	name   string
	index  int // -1: not in a list
}

// sub is a field of the message at f.
func (f *field) sub(name string) field { return field{parent: f, name: name, index: -1} }

// at is an entry of a list in the message at f.
func (f *field) at(name string, index int) field { return field{parent: f, name: name, index: index} }

// String is the path as in a file.
func (f *field) String() string {
	text := f.name
	if f.index >= 0 {
		text += "[" + strconv.Itoa(f.index) + "]"
	}
	if f.parent == nil {
		return text
	}
	return f.parent.String() + "." + text
}
