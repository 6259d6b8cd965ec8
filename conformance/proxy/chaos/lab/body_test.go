package lab

import (
	"errors"
	"slices"
	"testing"
)

func TestBodies(t *testing.T) {
	b := NewBodies(100_000)
	good := b.Append(nil, 7, 500)
	for _, tt := range []struct {
		name string
		body []byte
		well bool
	}{
		{"good", good, true},
		{"smallest", b.Append(nil, 7, 0), true},
		{"largest", b.Append(nil, 7, 100_000), true},
		{"empty", nil, false},
		{"cut", good[:499], false},
		{"longer", append(slices.Clone(good), 'x'), false},
		{"of another request", b.Append(nil, 8, 500), false},
		{"changed", slices.Replace(slices.Clone(good), 200, 201, good[200]+1), false},
		{"two in one", slices.Concat(good[:250], b.Append(nil, 8, 500)[250:]), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := b.Check(7, tt.body)
			if (err == nil) != tt.well || err != nil && !errors.Is(err, ErrBody) {
				t.Errorf("got %v", err)
			}
		})
	}
}
