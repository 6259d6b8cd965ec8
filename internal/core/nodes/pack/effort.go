package pack

// Budget bounds how long an answer is improved.
type Budget struct {
	// Steps bounds the work, deterministically; 0 does not. One step is about a
	// millisecond on one core of 2024. The first answer is always finished.
	Steps int
	// Stop is asked every few milliseconds of work; the search ends when it says
	// so, the first answer aside.
	Stop func() bool
	// Gap ends the search when the price is within this many basis points of the
	// bound; 0 takes 10.
	Gap int
	// Seed of the random choices.
	Seed uint64
}

// workPerStep is how many times an item is looked at in about a millisecond.
const workPerStep = 100_000

// effort counts the work that was done.
type effort struct {
	Budget
	work, asked int
	over        bool
}

// steps that the work amounts to.
func (e *effort) steps() int { return e.work / workPerStep }

// spent says whether to stop.
func (e *effort) spent() bool {
	if e.over || e.Steps > 0 && e.steps() >= e.Steps {
		e.over = true
		return true
	}
	if e.Stop != nil && e.work-e.asked >= workPerStep {
		e.asked = e.work
		e.over = e.Stop()
	}
	return e.over
}
