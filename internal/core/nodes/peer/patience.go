package peer

import "github.com/tatami-platform/tatami/internal/core/plan"

// Stopped is the code of pods that a run was stopped before.
const Stopped plan.Code = "Stopped"

// patience asks whoever waits for a run whether they still do, but not before
// each pod: asking may cost more than placing one.
type patience struct {
	ask   func() bool // nil is for ever
	steps int
	over  bool
}

// now says whether to stop; once it has, it says so always.
func (p *patience) now() bool {
	const every = 256
	if p.ask != nil && !p.over && p.steps%every == 0 {
		p.over = p.ask()
	}
	p.steps++
	return p.over
}
