package plan

import (
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// Effect is a change to the world, as data. Each decider declares its own
// types; control switches on them to act. Verb is one lower-case word for
// people and logs, e.g. "launch".
type Effect interface{ Verb() string }

// Keep is the effect of deciding to change nothing.
type Keep struct{}

// Verb is "keep".
func (Keep) Verb() string { return "keep" }

// Code names a reason for programs. It never changes its meaning, and is
// written as nouns in camel case, e.g. "CheaperOffering".
type Code string

// Reason says why an action is proposed.
type Reason struct {
	Code Code `json:"code"`
	// Text is one sentence for a person.
	Text string `json:"text"`
	// Hourly is what the action changes in dollars per hour; negative saves.
	Hourly unit.NanoUSD `json:"hourlyUSD"`
	// Rejected are the alternatives that were weighed, best first.
	Rejected []Alternative `json:"rejected,omitempty"`
}

// Alternative is a way that was not taken.
type Alternative struct {
	What string `json:"what"`
	Code Code   `json:"code"`
	// Why it lost, as one sentence.
	Why string `json:"why"`
	// Hourly is what it would have changed in dollars per hour.
	Hourly unit.NanoUSD `json:"hourlyUSD"`
}

// Action is one decision: what to do to which object, and why. Actions of one
// list are in the order in which they should be done.
type Action struct {
	// Decider that proposes it, e.g. "nodes".
	Decider string
	Target  workload.Ref
	Effect  Effect
	Reason  Reason
	// Needs are the indexes of actions in the same list that must have been done
	// before this one.
	Needs []int
}

// Acts says whether the action changes anything.
func (a Action) Acts() bool { _, keep := a.Effect.(Keep); return !keep }

// Hourly sums what the actions change in dollars per hour.
func Hourly(actions []Action) unit.NanoUSD {
	var sum unit.NanoUSD
	for _, a := range actions {
		sum = sum.Plus(a.Reason.Hourly)
	}
	return sum
}
