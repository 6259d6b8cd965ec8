// Proxy measures tatami-proxy beside HAProxy, nginx, Traefik and Caddy.
//
// In: the sources of tatami-proxy, the peers, nginx as backend and h2load. Out:
// a table or JSON with processor time per request in microseconds, throughput,
// latency and memory, as median, lowest and highest of all repetitions, beside
// the machine and the versions, and which targets were met. Peers take turns
// within each repetition. It never counts an answer that is not the expected
// one, and leaves no process behind. README.md says how to read the figures;
// read cases.go next, then run.go.
package main
