// Package plan is the vocabulary that all deciders share: one [Snapshot] of
// everything that is known now goes in, and a list of [Action]s comes out, each
// with a [Reason].
//
// In: values that adapters observed; the time is one of them. Out: effects as
// data, with their effect on cost in nano-USD per hour. A decision to leave
// something alone is an action too, with the effect [Keep].
// It never decides, and knows no decider: an effect is any type with a verb.
// Source: docs/adr/0005. Read snapshot.go, then action.go.
package plan
