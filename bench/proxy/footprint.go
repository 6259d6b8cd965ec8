package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tatami-platform/tatami/bench/proxy/load"
	"github.com/tatami-platform/tatami/bench/proxy/peer"
)

// footprint starts each server anew in every repetition: how large the program
// is, when it answers for the first time, what it holds after a time of being busy.
func (s settings) footprint(ctx context.Context, e *env, c benchCase, programs []peer.Program, r *caseResult) error {
	if err := e.need(ctx, c); err != nil {
		return err
	}
	r.Peers = make([]peerResult, len(programs))
	for i, p := range programs {
		r.Peers[i].Name = p.Name
		r.Peers[i].BinaryBytes = size(p.Path)
	}
	for i := range s.runs {
		for j := range programs {
			k := (i + j) % len(programs)
			if err := ctx.Err(); err != nil {
				return err
			}
			if r.Peers[k].Failure != "" {
				continue
			}
			if err := s.startOnce(ctx, e, c, programs[k], &r.Peers[k]); err != nil {
				r.Peers[k].Failure = err.Error()
			}
		}
	}
	return nil
}

// size of a program, of which the path may be a link; 0 when it is gone.
func size(path string) int64 {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return 0
	}
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

func (s settings) startOnce(ctx context.Context, e *env, c benchCase, p peer.Program, into *peerResult) error {
	spec, err := e.spec(ctx, c)
	if err != nil {
		return err
	}
	process, err := p.Start(ctx, spec)
	if err != nil {
		return err
	}
	defer process.Stop()
	first, err := ready(ctx, c.ask(e), spec.Listen, process)
	if err != nil {
		return err
	}
	into.Ready.add(millis(first.Sub(process.Began)))
	t := &entrant{name: p.Name, address: spec.Listen, process: process, ask: c.ask(e), result: into}
	client, err := t.keepAsking(ctx, load.Plan{Connections: c.connections})
	if err != nil {
		return err
	}
	memory, err := t.after(ctx, s.busy)
	if err := errors.Join(err, client.end()); err != nil {
		return err
	}
	into.RSS.add(float64(memory.RSS))
	into.PSS.add(float64(memory.PSS))
	return nil
}

// after is the memory after a while.
func (t *entrant) after(ctx context.Context, length time.Duration) (peer.Memory, error) {
	select {
	case <-ctx.Done():
		return peer.Memory{}, ctx.Err()
	case <-time.After(length):
		return t.process.Memory()
	}
}

// background is a client that asks until it is ended. Its error is that of the
// first answer that was wrong, and is there once done is closed.
type background struct {
	stop chan struct{}
	done chan struct{}
	err  error
}

// mostRequests bounds what a client in the background asks; it is far beyond
// what any server answers in that time.
const mostRequests = 1 << 20

// keepAsking starts a client and returns when the requests begin.
func (t *entrant) keepAsking(ctx context.Context, p load.Plan) (*background, error) {
	b := &background{stop: make(chan struct{}), done: make(chan struct{})}
	begun := make(chan struct{})
	p.Requests, p.Until = mostRequests, b.stop
	p.Begin = func() error { close(begun); return nil }
	go func() {
		defer close(b.done)
		r, err := t.ask.Run(ctx, t.address, p)
		if err == nil {
			t.note(r)
		}
		b.err = err
	}()
	select {
	case <-begun:
		return b, nil
	case <-b.done:
		return nil, b.err
	}
}

// ended says whether it gave up.
func (b *background) ended() bool {
	select {
	case <-b.done:
		return true
	default:
		return false
	}
}

// end waits for all answers.
func (b *background) end() error {
	early := b.ended()
	close(b.stop)
	<-b.done
	if early && b.err == nil {
		return fmt.Errorf("the client was done with %d requests before the end", mostRequests)
	}
	return b.err
}
