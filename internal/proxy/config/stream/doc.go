// Package stream brings the proxy its configuration from a control plane over gRPC
// (service tatami.proxy.v1.Config): snapshots and deltas in, acknowledgements and
// refusals with reasons out.
//
// In: who the proxy is and where the control plane answers; times are durations.
// Out: calls of a config.Apply. While the control plane is away the last good
// configuration stays, for ever. It never speaks plain text to another host and
// never applies a delta to another state than it is made for. Protocol: the
// comments of configpb/proxyconfig.proto. Read next: run.go, then session.go.
package stream
