package control_test

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/tatami-platform/tatami/internal/control"
)

func TestProblem(t *testing.T) {
	inner := &control.Problem{What: "open the store", Why: fs.ErrPermission, Next: "run as root"}
	tests := []struct {
		name string
		err  error
		text string
		next string
	}{
		{"what alone", &control.Problem{What: "port taken"}, "port taken", ""},
		{"what and why", inner, "open the store: permission denied", "run as root"},
		{"space around why", &control.Problem{What: "apply", Why: errors.New(" bad\n")}, "apply: bad", ""},
		{"wrapped", fmt.Errorf("up: %w", inner), "up: open the store: permission denied", "run as root"},
		{
			"the outer advice wins",
			&control.Problem{What: "up", Why: inner, Next: "try again"},
			"up: open the store: permission denied", "try again",
		},
		{
			"an outer one without advice gives way",
			&control.Problem{What: "up", Why: fmt.Errorf("store: %w", inner)},
			"up: store: open the store: permission denied", "run as root",
		},
		{"joined", errors.Join(errors.New("close"), inner), "close\nopen the store: permission denied", "run as root"},
		{"no problem", fs.ErrExist, "file already exists", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.err.Error(); got != tt.text {
				t.Errorf("text %q, want %q", got, tt.text)
			}
			if got := control.NextStep(tt.err); got != tt.next {
				t.Errorf("next %q, want %q", got, tt.next)
			}
		})
	}
	if !errors.Is(fmt.Errorf("up: %w", inner), fs.ErrPermission) {
		t.Error("the cause can't be found in the chain")
	}
	if control.NextStep(nil) != "" {
		t.Error("no error has no next step")
	}
}
