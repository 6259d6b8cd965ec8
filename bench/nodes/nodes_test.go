package main

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/core/nodes"
	"github.com/tatami-platform/tatami/internal/core/unit"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want []string // cases; none means that the arguments are refused
	}{
		{"one case", []string{"-case", "micro-100k-16"}, []string{"micro-100k-16"}},
		{"parts of names", []string{"-case", "big", "-case", "mixed-1k"}, []string{"big-1k-16", "big-1k-any", "mixed-1k-any"}},
		{"unknown case", []string{"-case", "huge"}, nil},
		{"unknown form", []string{"-o", "yaml"}, nil},
		{"unknown flag", []string{"-x"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := parse(tt.args, io.Discard)
			if (err != nil) != (tt.want == nil) {
				t.Fatalf("err = %v", err)
			}
			if err != nil {
				return
			}
			var got []string
			for _, c := range s.chosen() {
				got = append(got, c.name)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("cases %v, want %v", got, tt.want)
			}
		})
	}
}

func TestCases(t *testing.T) {
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			s, err := c.snapshot(false)
			if err != nil {
				t.Fatal(err)
			}
			pods := 0
			for _, g := range s.Demand {
				pods += g.Count
			}
			if pods != c.pods {
				t.Errorf("%d pods, want %d", pods, c.pods)
			}
			for _, o := range s.Offers {
				if c.maxVCPU > 0 && o.Shape.VCPU > c.maxVCPU || o.Shape.Metal || o.Shape.Burstable {
					t.Fatalf("%s is offered", o.Shape.Name)
				}
			}
			if len(s.Offers) < 3*200 {
				t.Errorf("only %d offers", len(s.Offers))
			}
		})
	}
}

// priced is an answer with a price and a time, found by one run.
func priced(dollars float64, millis float64) answer {
	return answer{Hourly: unit.NanoUSD(dollars * 1e9), Millis: millis, Runs: 1, PeakRSS: 1}
}

// good is a case that meets all targets.
func good() result {
	k, m := priced(120, 60_000), priced(121, 100)
	r := result{Name: "micro-10k-16", Kind: quality, Pods: 10_000, Karpenter: &k, Model: &m}
	r.Tatami = ours{First: priced(104, 100), Within: priced(101.5, 1_000), Last: priced(101, 5_000)}
	r.Tatami.Within.Bound, r.Tatami.Last.Bound = 100*unit.USD, 100*unit.USD
	return r
}

func TestTargets(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*result)
		missed []string
	}{
		{"all met", func(*result) {}, nil},
		{"too dear", func(r *result) { r.Tatami.Last.Hourly *= 2 }, []string{"cost over bound", "cost over Karpenter"}},
		{"first too dear", func(r *result) { r.Tatami.First.Hourly *= 2 }, []string{"first answer over bound"}},
		{"first too late", func(r *result) { r.Tatami.First.Millis = 201 }, []string{"time to the first answer"}},
		{"not within 2 %", func(r *result) { r.Tatami.Within.Hourly = 103 * unit.USD }, []string{"time to within 2 % of the bound"}},
		{"no bound", func(r *result) { r.Tatami.Last.Bound = 0 }, []string{"cost over bound", "first answer over bound"}},
		{"Karpenter timed out", func(r *result) { r.Karpenter.TimedOut = true }, []string{"cost over Karpenter", "model over Karpenter"}},
		{"the model is too cheap", func(r *result) { r.Model.Hourly = 110 * unit.USD }, []string{"model over Karpenter"}},
		{"other pods pending", func(r *result) { r.Tatami.Last.Pending = 1 }, []string{"cost over Karpenter", "model over Karpenter"}},
		{"not feasible", func(r *result) { r.Tatami.First.Violations = 1 }, []string{"cost over Karpenter", "model over Karpenter", "violations"}},
		{"no answer", func(r *result) { r.Tatami = ours{} }, []string{
			"cost over bound", "cost over Karpenter", "first answer over bound", "time to the first answer",
			"time to within 2 % of the bound", "violations",
		}},
		{"slow pods", func(r *result) {
			r.Kind = mixed
			r.Karpenter.Millis = 1_999
		}, []string{"pods per second over Karpenter"}},
		{"slow and large", func(r *result) {
			r.Kind, r.Karpenter, r.Model = large, nil, nil
			r.Tatami.Within.Millis, r.Tatami.Last.PeakRSS = 10_001, 300_000_001
		}, []string{"time to within 2 % of the bound", "memory"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := good()
			tt.change(&c)
			c.compare()
			r := report{Cases: []result{c}}
			r.judge()
			var missed []string
			for _, target := range r.Targets {
				if !target.Met {
					missed = append(missed, target.Name)
				}
			}
			if !slices.Equal(missed, tt.missed) || r.met() != (tt.missed == nil) {
				t.Errorf("missed %q, want %q", missed, tt.missed)
			}
		})
	}
}

// TestSpeedIsThatOfAnAnswerAsGood holds that a quick answer that costs more than
// Karpenter's does not count as one.
func TestSpeedIsThatOfAnAnswerAsGood(t *testing.T) {
	c := good()
	c.Tatami.First.Hourly = 130 * unit.USD
	c.compare()
	if c.PodsPerSecond != 10_000 || c.SpeedUp != 60 {
		t.Errorf("%v pods per second, %v times Karpenter's, want 10000 and 60", c.PodsPerSecond, c.SpeedUp)
	}
}

func TestWrite(t *testing.T) {
	failed := good()
	failed.Failures, failed.Karpenter = []string{"karpenter: it fell over"}, nil
	limited := good()
	limited.Karpenter.TimedOut = true
	r := report{Cases: []result{good(), failed, limited}}
	r.Cases[0].compare()
	r.Cases[0].KarpenterOverBound = 1.01
	r.judge()
	var table, text bytes.Buffer
	if err := r.write(&table, "table"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"+1.00 %", "0.842", "1.00 s", "100.0 ms", "it fell over", "> 60.00 s", "0.98 to 1.02", "not below 0.9901"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, table.String())
		}
	}
	if err := r.write(&text, "json"); err != nil {
		t.Fatal(err)
	}
	var back report
	if err := json.Unmarshal(text.Bytes(), &back); err != nil || back.Cases[0].OverBound != r.Cases[0].OverBound || len(back.Targets) != len(r.Targets) {
		t.Errorf("JSON: %v\n%s", err, text.String())
	}
}

// TestMeasure runs both of our parts as a child does, on the smallest case.
func TestMeasure(t *testing.T) {
	for _, p := range []part{modelPart, karpenterPart} {
		t.Run(string(p), func(t *testing.T) {
			var out bytes.Buffer
			s := settings{child: "big-1k-any", part: p, quick: true, limit: time.Minute}
			if err := measure(t.Context(), s, &out); err != nil {
				t.Fatal(err)
			}
			var a answer
			if err := json.Unmarshal(out.Bytes(), &a); err != nil || a.Hourly == 0 || a.Violations > 0 || a.Runs != repeats {
				t.Errorf("%+v, %v", a, err)
			}
		})
	}
	for _, s := range []settings{{child: "huge", part: modelPart}, {child: "big-1k-any", part: "none"}} {
		if err := measure(t.Context(), s, io.Discard); err == nil {
			t.Errorf("%+v gave no error", s)
		}
	}
}

// TestRepeatTakesTheMedian holds that price and time are medians of their own.
func TestRepeatTakesTheMedian(t *testing.T) {
	prices := []unit.NanoUSD{5, 1, 3, 2, 4}
	s := repeat(5, func(run int) found {
		f := nodes.Fleet{Purchases: []nodes.Purchase{{Count: 1}}}
		f.Purchases[0].Offering.Price = prices[run] * unit.USD
		return found{fleet: f, took: time.Duration(run) * time.Second}
	})
	if f := s.runs[2].fleet; f.Hourly() != 3*unit.USD || s.median(func(f found) time.Duration { return f.took }) != 2_000 {
		t.Errorf("%s after %v ms, want 3 and 2000", f.Hourly(), s.median(func(f found) time.Duration { return f.took }))
	}
}
