package control

import (
	"errors"
	"strings"
)

// ErrNotRunning is returned when a verb needs a running cluster.
var ErrNotRunning = errors.New("no cluster is running")

// Problem is an error for a person: what failed, why, and what to do next.
type Problem struct {
	What string
	Why  error
	Next string
}

// Error joins what and why on one line; the next step is printed apart.
func (p *Problem) Error() string {
	if p.Why == nil {
		return p.What
	}
	return p.What + ": " + strings.TrimSpace(p.Why.Error())
}

// Unwrap gives the cause, so that callers can branch on it.
func (p *Problem) Unwrap() error { return p.Why }

// NextStep returns the advice of the outermost Problem in err's chain that has
// any.
func NextStep(err error) string {
	for {
		p, ok := errors.AsType[*Problem](err)
		if !ok || p.Next != "" {
			return advice(p)
		}
		err = p.Why
	}
}

func advice(p *Problem) string {
	if p == nil {
		return ""
	}
	return p.Next
}
