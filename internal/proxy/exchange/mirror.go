package exchange

import (
	"errors"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect/balance"
	"github.com/tatami-platform/tatami/internal/core/connect/message"
	"github.com/tatami-platform/tatami/internal/core/connect/resilience"
	"github.com/tatami-platform/tatami/internal/core/connect/route"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/stream"
	"github.com/tatami-platform/tatami/internal/proxy/telemetry/record"
	"github.com/tatami-platform/tatami/internal/proxy/upstream"
)

// mirror sends a copy of a request to another cluster and drops the answer. It
// never slows the request down: a copy that cannot keep up is given up.
type mirror struct {
	w    *Worker
	wait upstream.Wait
	up   stream.Stream
	// timer bounds the copy: nobody waits for its answer.
	timer evloop.Timer

	set    *balance.Set
	picked balance.Picked
	began  int64
	failed resilience.Failure
	status int

	head message.Head // a copy: the request may be over before this is sent
	body []byte
	end  bool
	done bool
}

// maxMirrorBacklog is how much of a body waits for a mirror's connection.
const maxMirrorBacklog = 64 << 10

// startMirrors begins the copies that the rule asks for.
func (x *Exchange) startMirrors() {
	for i := range x.rule.Config.Filters.Mirrors {
		m := &x.rule.Config.Filters.Mirrors[i]
		if !route.Mirrored(m, x.w.random()) {
			continue
		}
		cluster := x.snap.Clusters[m.Cluster]
		if cluster == nil {
			continue
		}
		x.rec.Flags |= record.Mirrored
		x.mirrors = append(x.mirrors, x.newMirror(cluster))
	}
}

func (x *Exchange) newMirror(cluster *Cluster) *mirror {
	m := &mirror{w: x.w, end: x.downEnd}
	m.head = *x.head
	m.head.Fields = cloneFields(x.head.Fields)
	for _, s := range []*string{&m.head.Method, &m.head.Scheme, &m.head.Authority, &m.head.Path, &m.head.Protocol} {
		*s = string([]byte(*s))
	}
	m.body = append(m.body, x.body.buf...)
	m.wait.Waiter = m
	m.set, m.began = cluster.Set, x.w.loop.Now()
	m.picked = cluster.Set.Pick(m.began, &balance.Choice{Random: x.w.random()})
	host := m.picked.Host
	if host == nil {
		m.done = true
		return m
	}
	host.Begin()
	m.timer.Func = m.timeout
	limit := x.idle
	if t := x.rule.Config.RequestTimeout; t > 0 {
		limit = int64(t)
	}
	m.w.loop.After(limit, &m.timer)
	client, err := x.w.local(cluster, host).pool.Get(&m.wait)
	switch {
	case err != nil:
		m.ConnFailed(err)
	case client != nil:
		m.ConnReady(client)
	}
	return m
}

// ConnReady sends what there is.
func (m *mirror) ConnReady(c stream.Client) {
	m.up = c.Open(m)
	m.up.SendHead(&m.head, m.end && len(m.body) == 0)
	if len(m.body) > 0 && m.up != nil {
		m.send(m.body, m.end)
	}
	m.body = nil
}

// ConnFailed ends the copy. That too many wait says nothing about the endpoint.
func (m *mirror) ConnFailed(err error) {
	if !errors.Is(err, upstream.ErrPending) {
		m.failed = resilience.FailureConnect
	}
	m.stop()
}

func (m *mirror) timeout() {
	if m.up != nil && m.end && m.status == 0 {
		m.failed = resilience.FailureTimeout
	}
	m.stop()
}

// data passes a part of the request's body on.
func (m *mirror) data(p []byte, end bool) {
	if m.done {
		return
	}
	m.end = end
	if m.up != nil {
		m.send(p, end)
		return
	}
	if len(m.body)+len(p) > maxMirrorBacklog {
		m.stop()
		return
	}
	m.body = append(m.body, p...)
}

func (m *mirror) send(p []byte, end bool) {
	if !m.up.SendData(p, end) && !end && m.up != nil {
		m.stop()
	}
}

// requestGone: what was not received by now never will be.
func (m *mirror) requestGone() {
	if !m.end {
		m.stop()
	}
}

func (m *mirror) stop() {
	if m.done {
		return
	}
	m.done = true
	m.timer.Stop()
	m.wait.Cancel()
	if m.status == 0 && m.failed == resilience.FailureNone {
		m.failed = resilience.FailureCancelled
	}
	now := evloop.Clock()
	m.set.Observe(now, m.picked, &balance.Outcome{
		Latency: time.Duration(now - m.began), Failure: m.failed, Status: m.status, Random: m.w.random(),
	})
	m.picked.Host.End()
	if up := m.up; up != nil {
		m.up = nil
		up.Reset(stream.ReasonCancel)
	}
}

// OnHead drops the answer.
func (m *mirror) OnHead(h *message.Head, end bool) {
	m.status = h.Status
	m.answered(end)
}

// OnData drops a part of the answer.
func (m *mirror) OnData(_ []byte, end bool) { m.answered(end) }

// OnTrailers ends the answer.
func (m *mirror) OnTrailers([]message.Field) { m.answered(true) }

// OnRoom is not waited for.
func (m *mirror) OnRoom() {}

// OnReset ends the copy.
func (m *mirror) OnReset(r stream.Reason) {
	m.up = nil
	m.failed, _ = failureOf(r)
	m.stop()
}

func (m *mirror) answered(end bool) {
	if !end {
		return
	}
	if m.end {
		m.up = nil // complete both ways: the codec has it back
	}
	m.stop()
}
