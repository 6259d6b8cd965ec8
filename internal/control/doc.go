// Package control owns the ports of the platform and the values that cross
// them: what a local cluster is asked to do, what it reports, and the health
// checks that are run over it.
//
// In: requests from the command line. Out: [Status], [Report], errors with a
// next step ([Problem]). Sizes are bytes, durations are time.Duration.
// It never imports an adapter or Kubernetes; cluster/ implements [Platform],
// internal/cli drives it. Read platform.go next, then health.go.
package control
