package bookfile

import "fmt"

// Fault says what is wrong with a file, where, and what to do about it.
type Fault struct {
	// Line and Column count from 1, the column in bytes; 0 where the fault has no
	// place.
	Line, Column int
	What, Next   string
}

// Error is the place and what is wrong there.
func (f *Fault) Error() string {
	if f.Line == 0 {
		return f.What
	}
	return fmt.Sprintf("line %d, column %d: %s", f.Line, f.Column, f.What)
}
