package main

import (
	"slices"

	"github.com/tatami-platform/tatami/bench/machine"
	"github.com/tatami-platform/tatami/bench/proxy/peer"
)

// directName is the client asking the backend itself.
const directName = "direct"

// report is the output. Its JSON keys are a contract.
type report struct {
	Machine machine.Machine `json:"machine"`
	// LoadAverage is that of the minute before. When it is not near 0, others
	// used the machine: figures are too high, and ratios not steady.
	LoadAverage float64   `json:"loadAverage"`
	Peers       []version `json:"peers"`
	Runs        int       `json:"runs"`
	SliceMillis int64     `json:"sliceMillis"`
	// Quick says that the slices were too short to measure anything.
	Quick   bool         `json:"quick"`
	Cases   []caseResult `json:"cases"`
	Targets []target     `json:"targets"`

	programs []peer.Program
}

// version is what was compared.
type version struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	// Missing says why it did not take part.
	Missing string `json:"missing,omitempty"`
}

// caseResult is one case.
type caseResult struct {
	Name        string `json:"name"`
	What        string `json:"what"`
	Kind        kind   `json:"kind"`
	Connections int    `json:"connections"`
	// RequestsPerSecond is the rate at half load; 0 elsewhere.
	RequestsPerSecond float64      `json:"requestsPerSecond,omitempty"`
	Peers             []peerResult `json:"peers"`
	// Ratios are ours by another's.
	Ratios []ratio `json:"ratios,omitempty"`
}

// peerResult is one server in a case. Figures without values were not measured.
type peerResult struct {
	Name string `json:"name"`
	// Failure says why there are no figures, or none to rely on.
	Failure string `json:"failure,omitempty"`
	// Requests of one repetition.
	Requests int `json:"requests,omitempty"`

	CPU       figure `json:"cpuMicrosPerRequest,omitzero"`
	PerSecond figure `json:"requestsPerSecond,omitzero"`
	P50       figure `json:"p50Micros,omitzero"`
	P90       figure `json:"p90Micros,omitzero"`
	P99       figure `json:"p99Micros,omitzero"`
	P999      figure `json:"p999Micros,omitzero"`
	// AddedP99 is P99 less that of the backend itself.
	AddedP99 figure `json:"addedP99Micros,omitzero"`
	// Memory is that after the last repetition.
	Memory peer.Memory `json:"memory,omitzero"`

	BinaryBytes int64  `json:"binaryBytes,omitempty"`
	Ready       figure `json:"readyMillis,omitzero"`
	// Ack is from sending a change to its acknowledgement, Apply to the first
	// good answer that it makes possible.
	Ack   figure `json:"ackMillis,omitzero"`
	Apply figure `json:"applyMillis,omitzero"`
	RSS   figure `json:"rssBytes,omitzero"`
	PSS   figure `json:"pssBytes,omitzero"`
}

// IsZero leaves figures without values out of JSON.
func (f figure) IsZero() bool { return len(f.Values) == 0 }

// ratio is ours by a peer's, from pairs of the same repetition.
type ratio struct {
	Peer string `json:"peer"`
	// CPU and PerSecond have no unit; P99Over is in microseconds, ours less the
	// peer's.
	CPU       figure `json:"cpu,omitzero"`
	PerSecond figure `json:"requestsPerSecond,omitzero"`
	P99Over   figure `json:"p99OverMicros,omitzero"`
}

// of finds a server that has figures.
func (c *caseResult) of(name string) *peerResult {
	i := slices.IndexFunc(c.Peers, func(p peerResult) bool { return p.Name == name && p.Failure == "" })
	if i < 0 {
		return nil
	}
	return &c.Peers[i]
}

// against finds the ratios to a peer.
func (c *caseResult) against(name string) *ratio {
	i := slices.IndexFunc(c.Ratios, func(r ratio) bool { return r.Peer == name })
	if i < 0 {
		return nil
	}
	return &c.Ratios[i]
}

// compareWithFloor computes what servers add to the backend's own latency.
func (c *caseResult) compareWithFloor() {
	floor := c.of(directName)
	if floor == nil || c.Kind != halfLoad {
		return
	}
	for i := range c.Peers {
		if p := &c.Peers[i]; p.Failure == "" && p.Name != directName {
			p.AddedP99 = pairs(p.P99, floor.P99, minus)
		}
	}
}

// compare computes what needs two servers.
func (c *caseResult) compare() {
	c.compareWithFloor()
	ours := c.of(peer.Tatami)
	if ours == nil || c.Kind == footprint || c.Kind == reload || c.Kind == reloadFile {
		return
	}
	for _, p := range c.Peers {
		if p.Failure != "" || p.Name == peer.Tatami || p.Name == directName {
			continue
		}
		c.Ratios = append(c.Ratios, ratio{
			Peer: p.Name, CPU: pairs(ours.CPU, p.CPU, over), PerSecond: pairs(ours.PerSecond, p.PerSecond, over),
			P99Over: pairs(ours.P99, p.P99, minus),
		})
	}
}
