// The data plane: sidecar, gateway, or a plain process in front of one backend.
//
// In: flags, files or a control plane; see tatami-proxy --help. Out: a proxy. It
// never holds logic, and never Kubernetes or a cloud: it stays small. All it does
// is in internal/proxy; read internal/proxy/program next.
package main
