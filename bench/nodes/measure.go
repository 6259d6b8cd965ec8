package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"

	"github.com/tatami-platform/tatami/bench/nodes/karpenter"
	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/nodes/peer"
	"github.com/tatami-platform/tatami/internal/core/plan"
)

// part is one solver on one case.
type part string

const (
	oursPart      part = "tatami"
	modelPart     part = "model"
	karpenterPart part = "karpenter"
)

func partsOf(c benchCase) []part {
	if c.kind == large {
		return []part{oursPart}
	}
	return []part{oursPart, modelPart, karpenterPart}
}

// longest is how long our solver may improve an answer.
const longest = 10 * time.Second

// ours is what our solver gives: the first answer, the first one within 2 % of
// the bound, and the last one.
type ours struct {
	First  answer `json:"first"`
	Within answer `json:"within2Percent"`
	Last   answer `json:"last"`
}

// measure is what a child does.
func measure(ctx context.Context, s settings, out io.Writer) error {
	cs := cases()
	i := slices.IndexFunc(cs, func(c benchCase) bool { return c.name == s.child })
	if i < 0 {
		return fmt.Errorf("-child %s: no such case", s.child)
	}
	snapshot, err := cs[i].snapshot(s.quick)
	if err != nil {
		return err
	}
	var result any
	switch s.part {
	case oursPart:
		result = measureOurs(snapshot)
	case modelPart:
		result = repeat(repeats, model(snapshot)).answer(snapshot)
	case karpenterPart:
		if result, err = measureKarpenter(ctx, snapshot, s.limit); err != nil {
			return err
		}
	default:
		return fmt.Errorf("-part %s: no such part", s.part)
	}
	return json.NewEncoder(out).Encode(result)
}

// measureOurs checks the answers when all are there: that takes memory, too.
func measureOurs(s *plan.Snapshot) ours {
	first := repeat(repeats, solve(s, nodes.Effort{Steps: 1}))
	within := repeat(repeats, solve(s, nodes.Effort{Gap: 200}))
	last := repeat(1, solve(s, nodes.Effort{}))
	return ours{First: first.answer(s), Within: within.answer(s), Last: last.answer(s)}
}

func solve(s *plan.Snapshot, e nodes.Effort) func(int) found {
	return func(int) found {
		began := time.Now()
		e.Stop = func() bool { return time.Since(began) > longest }
		return timed(func() nodes.Fleet { return nodes.Solve(s, nodes.Cheapest(), e) })
	}
}

func model(s *plan.Snapshot) func(int) found {
	return func(run int) found {
		return timed(func() nodes.Fleet { return peer.Karpenter(s, peer.KarpenterSettings{Seed: uint64(run)}) })
	}
}

func timed(solve func() nodes.Fleet) found {
	began, used := time.Now(), cpuTime()
	fleet := solve()
	return found{fleet: fleet, took: time.Since(began), cpu: cpuTime() - used}
}

func measureKarpenter(ctx context.Context, s *plan.Snapshot, limit time.Duration) (answer, error) {
	var failed error
	runs := repeat(repeats, func(run int) found {
		a, err := karpenter.Schedule(ctx, s, karpenter.Settings{Workers: runtime.NumCPU(), Limit: limit, Seed: uint64(run)})
		if err != nil {
			failed = err
		}
		return found{fleet: a.Fleet, took: a.Elapsed, timedOut: a.TimedOut}
	})
	return runs.answer(s), failed
}
