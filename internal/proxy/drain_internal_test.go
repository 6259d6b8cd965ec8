package proxy

import (
	"errors"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
)

// TestApplyThatWaitsWhileDrainBegins would open listeners that nobody closes.
func TestApplyThatWaitsWhileDrainBegins(t *testing.T) {
	s, err := New(Options{Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	s.mu.Lock()
	got := make(chan error)
	go func() {
		got <- s.Apply(&connect.Config{Listeners: []*connect.Listener{{Name: "main", Address: "127.0.0.1:0"}}})
	}()
	time.Sleep(50 * time.Millisecond) // it waits for the lock, most likely
	s.draining.Store(true)
	s.mu.Unlock()
	if err := <-got; !errors.Is(err, ErrDraining) {
		t.Errorf("the configuration was taken: %v", err)
	}
}
