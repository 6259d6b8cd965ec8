// Package config brings the proxy its configuration: from files that are watched,
// from the few flags of a single backend, or (package stream) from a control plane.
//
// In: YAML, JSON or messages of configpb. Out: *connect.Config, valid as a whole,
// handed to an Apply; resources that did not change keep their pointer. What is
// refused is refused whole with all reasons, and the old one stays. It never opens
// a listener and never applies half a change. Form: docs/reference/proxy.md.
// Read next: state.go, set.go, then watch.go and yaml.go.
package config
