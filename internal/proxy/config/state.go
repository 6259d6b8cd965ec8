package config

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
	pb "github.com/tatami-platform/tatami/internal/proxy/config/configpb"
)

// Apply puts a configuration to use. It is called by one goroutine at a time with
// a valid one; an error refuses it, and the one before must stay in use then.
type Apply func(*connect.Config) error

// Source brings configurations until the context ends: Watch, Hold, stream.Run.
// An error means that it cannot work at all.
type Source func(ctx context.Context, apply Apply) error

// DefaultNode is the name of a proxy that was given none.
const DefaultNode = "tatami-proxy"

// State is the configuration in use and the way to the next one. Sources share it;
// it is used by one goroutine.
type State struct {
	apply Apply
	node  connect.Node
	set   *set
	now   *connect.Config
	// files holds the resources whose content lies in files, as they came.
	files   fileResources
	look    look
	refused [sha256.Size]byte
}

// NewState is the state without a configuration. node is who we are as far as the
// source says nothing else.
func NewState(node connect.Node, apply Apply) *State {
	if node.Name == "" {
		node.Name = DefaultNode
	}
	return &State{apply: apply, node: node, set: emptySet(node)}
}

// Config is what is in use, nil before the first.
func (s *State) Config() *connect.Config { return s.now }

// Version is that of the configuration in use, empty before the first.
func (s *State) Version() string {
	if s.now == nil {
		return ""
	}
	return s.now.Version
}

// Offer makes a change: it reads the files that it names, checks the whole and
// applies it. An error is a refusal and changes nothing; *connect.InvalidError has
// the reasons. Nothing is applied where neither content nor version changed.
func (s *State) Offer(c Change) error {
	if c.Version == "" {
		return errors.New("the change has no version")
	}
	files := s.files.with(c)
	paths := files.paths()
	before := take(paths)
	upserts, err := files.inline(c.Upserts)
	if err != nil {
		return err
	}
	c.Upserts = upserts
	next, err := s.set.with(c, s.node)
	if err != nil {
		return err
	}
	if err := s.use(next, c.Version); err != nil {
		return err
	}
	s.files = files
	s.look = look{last: before, read: before, readAt: time.Now()}
	return nil
}

// use checks and applies a set.
func (s *State) use(next *set, version string) error {
	if s.now != nil && s.now.Version == version && s.set.equal(next) {
		return nil
	}
	config := next.config(version)
	if err := connect.ValidateChange(s.now, config); err != nil {
		return err
	}
	if err := checkPEM(s.now, config); err != nil {
		return err
	}
	if s.apply != nil {
		if err := s.apply(config); err != nil {
			return fmt.Errorf("apply: %w", err)
		}
	}
	s.set, s.now = next, config
	return nil
}

// equal says that both share all resources.
func (s *set) equal(o *set) bool {
	sameTracing := s.node.Tracing == o.node.Tracing ||
		(s.node.Tracing != nil && o.node.Tracing != nil && *s.node.Tracing == *o.node.Tracing)
	a, b := s.node, o.node
	a.Tracing, b.Tracing = nil, nil
	return sameTracing && a == b && s.listeners == o.listeners && s.routes == o.routes &&
		s.streamRoutes == o.streamRoutes && s.clusters == o.clusters &&
		s.certificates == o.certificates && s.bundles == o.bundles
}

// Refresh looks at the certificate files that the configuration names and applies
// what changed in them; the version stays. It is cheap where nothing did. An error
// is a refusal; it comes once per content.
func (s *State) Refresh() error {
	if s.now == nil || !s.look.poll(s.files.paths()) {
		return nil
	}
	upserts, err := s.files.inline(s.files.resources())
	if !s.look.settled() {
		return nil // Read in the middle of a change; it is read again.
	}
	var sum [sha256.Size]byte
	if err == nil {
		sum = contentSum(upserts)
		var next *set
		if next, err = s.set.with(Change{Upserts: upserts}, s.node); err == nil {
			err = s.use(next, s.now.Version)
		}
	}
	if err == nil {
		s.refused = sum
		return nil
	}
	if sum == ([sha256.Size]byte{}) {
		sum = sha256.Sum256([]byte(err.Error()))
	}
	if sum == s.refused {
		return nil
	}
	s.refused = sum
	return fmt.Errorf("certificate files: %w", err)
}

// contentSum tells contents of files apart.
func contentSum(m *pb.Resources) [sha256.Size]byte {
	h := sha256.New()
	for _, c := range m.GetCertificates() {
		fmt.Fprintf(h, "%q %q %q ", c.GetName(), c.GetChainPem(), c.GetKeyPem())
	}
	for _, b := range m.GetTrustBundles() {
		fmt.Fprintf(h, "%q %q ", b.GetName(), b.GetPem())
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// fileResources are certificates and bundles whose content lies in files. It is
// immutable.
type fileResources struct {
	certificates map[string]*pb.Certificate
	bundles      map[string]*pb.TrustBundle
}

// with is what is named after a change.
func (f fileResources) with(c Change) fileResources {
	next := fileResources{certificates: map[string]*pb.Certificate{}, bundles: map[string]*pb.TrustBundle{}}
	if !c.All {
		maps.Copy(next.certificates, f.certificates)
		maps.Copy(next.bundles, f.bundles)
	}
	for _, n := range c.Removals {
		if n.GetKind() == pb.ResourceName_CERTIFICATE {
			delete(next.certificates, n.GetName())
		}
		if n.GetKind() == pb.ResourceName_TRUST_BUNDLE {
			delete(next.bundles, n.GetName())
		}
	}
	for _, m := range c.Upserts.GetCertificates() {
		delete(next.certificates, m.GetName())
		if m.GetChainFile() != "" || m.GetKeyFile() != "" {
			next.certificates[m.GetName()] = m
		}
	}
	for _, m := range c.Upserts.GetTrustBundles() {
		delete(next.bundles, m.GetName())
		if m.GetFile() != "" {
			next.bundles[m.GetName()] = m
		}
	}
	return next
}

func (f fileResources) resources() *pb.Resources {
	return &pb.Resources{
		Certificates: slices.Collect(maps.Values(f.certificates)),
		TrustBundles: slices.Collect(maps.Values(f.bundles)),
	}
}

func (f fileResources) paths() []string {
	paths := []string{}
	for _, c := range f.certificates {
		paths = append(paths, c.GetChainFile(), c.GetKeyFile())
	}
	for _, b := range f.bundles {
		paths = append(paths, b.GetFile())
	}
	paths = slices.DeleteFunc(paths, func(p string) bool { return p == "" })
	slices.Sort(paths)
	return slices.Compact(paths)
}
