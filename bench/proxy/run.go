package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/tatami-platform/tatami/bench/proxy/load"
	"github.com/tatami-platform/tatami/bench/proxy/peer"
)

// readyTimeout is how long a server may take until it answers well.
const readyTimeout = 30 * time.Second

// pause lets a server finish what the last requests left, before the next one
// is measured.
const pause = 20 * time.Millisecond

// entrant is a server that takes part in a case.
type entrant struct {
	name    string
	address string
	// process is nil for the backend itself.
	process *peer.Process
	ask     asker
	// requests is how many make up a slice, rate what it did in requests per
	// second while that was found.
	requests int
	rate     float64
	result   *peerResult
}

// measure runs a case. A server that fails is noted, and the others go on.
func (s settings) measure(ctx context.Context, e *env, c benchCase, programs []peer.Program, errs io.Writer) (caseResult, error) {
	fmt.Fprintf(errs, "%s: %s\n", c.name, c.what)
	r := caseResult{Name: c.name, What: c.what, Kind: c.kind, Connections: c.connections}
	var err error
	switch c.kind {
	case footprint:
		err = s.footprint(ctx, e, c, programs, &r)
	case reload, reloadFile:
		err = s.reload(ctx, e, c, programs, &r)
	default:
		err = s.takeTurns(ctx, e, c, programs, &r)
	}
	r.compare()
	for _, p := range r.Peers {
		if p.Failure != "" {
			fmt.Fprintf(errs, "%s: %s: %s\n", c.name, p.Name, p.Failure)
		}
	}
	if ctx.Err() != nil {
		return r, ctx.Err()
	}
	return r, err
}

// takeTurns starts all servers and measures them in turns; who is first changes
// with each repetition.
func (s settings) takeTurns(ctx context.Context, e *env, c benchCase, programs []peer.Program, r *caseResult) error {
	entrants, stop, err := s.enter(ctx, e, c, programs, r)
	defer stop()
	if err != nil {
		return err
	}
	for _, t := range entrants {
		if err := t.calibrate(ctx, c.connections, s.slice); err != nil {
			t.result.Failure = err.Error()
		}
	}
	if c.kind == halfLoad {
		saturate(ctx, entrants, c.connections)
		r.RequestsPerSecond = setRate(entrants)
	}
	for i := range s.runs {
		for j := range entrants {
			t := entrants[(i+j)%len(entrants)]
			if t.result.Failure != "" {
				continue
			}
			if err := t.slice(ctx, c, r.RequestsPerSecond, s.slice); err != nil {
				t.result.Failure = err.Error()
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			time.Sleep(pause)
		}
	}
	for _, t := range entrants {
		t.weigh()
	}
	return nil
}

// weigh notes what memory a server holds.
func (t *entrant) weigh() {
	if t.process == nil || t.result.Failure != "" {
		return
	}
	var err error
	if t.result.Memory, err = t.process.Memory(); err != nil {
		t.result.Failure = err.Error()
	}
}

// enter starts all servers of a case and waits for each until it answers. The
// stop that it returns must be called, also after an error.
func (s settings) enter(ctx context.Context, e *env, c benchCase, programs []peer.Program, r *caseResult) (out []*entrant, stop func(), err error) {
	r.Peers = make([]peerResult, 0, len(programs)+1)
	stop = func() {
		for _, t := range out {
			if t.process != nil {
				t.process.Stop()
			}
		}
	}
	if c.direct() {
		r.Peers = append(r.Peers, peerResult{Name: directName})
		out = append(out, &entrant{name: directName, address: e.backend(c.backend), ask: c.ask(e), result: &r.Peers[0]})
	}
	for _, p := range programs {
		r.Peers = append(r.Peers, peerResult{Name: p.Name})
		result := &r.Peers[len(r.Peers)-1]
		t, err := start(ctx, e, c, p)
		if t != nil {
			t.result = result
			out = append(out, t)
		}
		if ctx.Err() != nil {
			return out, stop, ctx.Err()
		}
		if err != nil {
			result.Failure = err.Error()
		}
	}
	return out, stop, nil
}

// start starts one server. The entrant is not nil when there is a process to
// stop, also beside an error.
func start(ctx context.Context, e *env, c benchCase, p peer.Program) (*entrant, error) {
	spec, err := e.spec(ctx, c)
	if err != nil {
		return nil, err
	}
	return launch(ctx, c.ask(e), p, spec)
}

func launch(ctx context.Context, ask asker, p peer.Program, spec peer.Spec) (*entrant, error) {
	process, err := p.Start(ctx, spec)
	if err != nil {
		return nil, err
	}
	t := &entrant{name: p.Name, address: spec.Listen, process: process, ask: ask}
	_, err = ready(ctx, t.ask, t.address, process)
	return t, err
}

// ready waits until a server answers well, and says when that was.
func ready(ctx context.Context, ask asker, address string, process *peer.Process) (time.Time, error) {
	for deadline := time.Now().Add(readyTimeout); ; {
		_, err := ask.Run(ctx, address, load.Plan{Connections: 1, Requests: 1})
		switch {
		case err == nil:
			return time.Now(), nil
		case ctx.Err() != nil:
			return time.Time{}, ctx.Err()
		case time.Now().After(deadline):
			return time.Time{}, fmt.Errorf("no good answer after %s: %w\n%s", readyTimeout, err, process.Output())
		}
		if ended := process.Ended(); ended != nil {
			return time.Time{}, ended
		}
		time.Sleep(time.Millisecond)
	}
}

// calibrate warms a server up and finds how many requests take a slice.
func (t *entrant) calibrate(ctx context.Context, connections int, slice time.Duration) error {
	if t.result.Failure != "" {
		return nil
	}
	n := 4 * connections
	for began := time.Now(); ; {
		r, err := t.ask.Run(ctx, t.address, load.Plan{Connections: connections, Requests: n})
		if err != nil {
			return fmt.Errorf("warming up: %w", err)
		}
		t.rate = r.PerSecond()
		t.requests = max(int(t.rate*slice.Seconds()), connections)
		if r.Elapsed >= slice/4 || time.Since(began) > slice {
			return nil
		}
		n = max(2*n, t.requests/3)
	}
}

// saturate finds what each server can do, as the median of three slices in turns.
func saturate(ctx context.Context, entrants []*entrant, connections int) {
	rates := make([]figure, len(entrants))
	for range 3 {
		for i, t := range entrants {
			if t.result.Failure != "" {
				continue
			}
			r, err := t.ask.Run(ctx, t.address, load.Plan{Connections: connections, Requests: t.requests})
			if err != nil {
				t.result.Failure = err.Error()
				continue
			}
			rates[i].add(r.PerSecond())
			t.rate = rates[i].Median
		}
	}
}

// setRate is half of what the slower of HAProxy and ours can do, in requests per
// second; without the two, of what the slowest can.
func setRate(entrants []*entrant) float64 {
	rate, all := math.Inf(1), math.Inf(1)
	for _, t := range entrants {
		if t.rate == 0 {
			continue
		}
		all = min(all, t.rate)
		if t.name == peer.Tatami || t.name == peer.HAProxy {
			rate = min(rate, t.rate)
		}
	}
	if math.IsInf(rate, 1) {
		rate = all
	}
	for _, t := range entrants {
		if t.rate*maxLoad < rate/2 && t.result.Failure == "" {
			t.result.Failure = fmt.Sprintf("not measured: half load is %.0f requests per second, and it can do %.0f", rate/2, t.rate)
		}
	}
	return math.Round(rate / 2)
}

// maxLoad is the share of what a server can do above which latency is that of a
// queue.
const maxLoad = 0.8

// slice is one repetition for one server.
func (t *entrant) slice(ctx context.Context, c benchCase, rate float64, length time.Duration) error {
	var before peer.Usage
	plan := load.Plan{Connections: c.connections, Requests: t.requests}
	if c.kind == halfLoad {
		plan.Rate, plan.Requests = rate, max(int(rate*length.Seconds()), c.connections)
	}
	plan.Begin = func() (err error) {
		if t.process != nil {
			before, err = t.process.Usage()
		}
		return err
	}
	r, err := t.ask.Run(ctx, t.address, plan)
	if err != nil {
		if t.process != nil {
			err = errors.Join(err, t.process.Ended())
		}
		return err
	}
	if t.process != nil {
		after, err := t.process.Usage()
		if err != nil {
			return err
		}
		t.result.CPU.add(micros(after.Since(before)) / float64(r.Requests))
	}
	t.note(r)
	return nil
}

// note keeps what a run of the client gave.
func (t *entrant) note(r load.Result) {
	t.result.Requests = r.Requests
	t.result.PerSecond.add(r.PerSecond())
	t.result.P50.add(micros(r.Quantile(0.5)))
	t.result.P90.add(micros(r.Quantile(0.9)))
	t.result.P99.add(micros(r.Quantile(0.99)))
	t.result.P999.add(micros(r.Quantile(0.999)))
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
