// Package egress lets the node and its pods reach what the host can reach,
// without a route, a firewall rule or forwarding on the host: TCP connections
// that leave the node's own ranges are redirected to a proxy in this process,
// which makes them anew from the host's network; DNS questions are handed to
// the host's resolvers.
//
// In: dialers into the host's network. Out: connections; a DNS address for
// CoreDNS to forward to. It never carries other UDP or ICMP, and never lets the
// host be reached on its loopback. Read proxy.go next; the why is ADR-0003.
package egress
