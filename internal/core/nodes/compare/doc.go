// Package compare puts every strategy of buying nodes through one engine and
// makes one [Report] of it, from which all outputs of `tatami plan` are drawn.
//
// In: a [Request]: a plan.Snapshot with prices, the strategies, how long to
// search. Out: a Report; money is nano-USD per hour or per month of 730 hours,
// shares are from 0 to 1. Parts sum to the whole exactly.
// It never reads files, draws, or favours a strategy: the state of today is
// simulated like the rest. Source: docs/reference/plan.schema.json. Read
// report.go, then engine.go.
package compare
