package instance

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/tatami-platform/tatami/internal/control"
)

// State is what the server tells about itself.
type State struct {
	Config      Config        `json:"config"`
	Phase       control.State `json:"phase"`
	Step        string        `json:"step,omitempty"`
	PID         int           `json:"pid"`
	Started     time.Time     `json:"started"`
	StartMillis int64         `json:"startMillis"`
	// Error is why the last run ended, when it did not end by `down`.
	Error string `json:"error,omitempty"`
	// NodeFailed says that a cluster without a real node might have run.
	NodeFailed bool `json:"nodeFailed,omitempty"`
	// Note says what does not work, although the cluster runs.
	Note string `json:"note,omitempty"`
	// URLs by name of what is published on the host.
	URLs map[string]string `json:"urls,omitempty"`
}

const (
	stateFile = "state.json"
	lockFile  = "lock"
)

// WriteState replaces the state file.
func WriteState(s State) error {
	raw, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return WriteFile(s.Config.Path(stateFile), raw)
}

// ReadState reads the state file; fs.ErrNotExist when there is none.
func ReadState(dataDir string) (State, error) {
	var s State
	raw, err := os.ReadFile(Config{DataDir: dataDir}.Path(stateFile))
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, fmt.Errorf("state of %s: %w", dataDir, err)
	}
	return s, nil
}

// ErrLocked says that a server of this data folder is alive.
var ErrLocked = errors.New("locked by a running server")

// Lock takes the lock of a data folder. The server inherits the file, and with
// it the lock: it is free at the moment at which the server and all that it
// started are dead, however they died.
func Lock(dataDir string) (*os.File, error) {
	var f *os.File
	var err error
	// Alive holds the lock for an instant.
	for range 10 {
		if f, err = flock(dataDir, syscall.LOCK_EX); !errors.Is(err, ErrLocked) {
			return f, err
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil, err
}

// Empty removes all that a data folder holds but what makes it one: its marker
// and its lock, which the caller holds.
func Empty(dataDir string) error {
	entries, err := os.ReadDir(dataDir)
	if err != nil {
		return fmt.Errorf("read the data folder: %w", err)
	}
	for _, e := range entries {
		if e.Name() == lockFile || e.Name() == MarkerFile {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dataDir, e.Name())); err != nil {
			return fmt.Errorf("empty the data folder: %w", err)
		}
	}
	return nil
}

func flock(dataDir string, how int) (*os.File, error) {
	path := Config{DataDir: dataDir}.Path(lockFile)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, explain(path, err)
	}
	if err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, ErrLocked
		}
		return nil, fmt.Errorf("lock %s: %w", dataDir, err)
	}
	return f, nil
}

// Alive says whether a server holds the lock of a data folder.
func Alive(dataDir string) (bool, error) {
	if _, err := os.Stat(Config{DataDir: dataDir}.Path(lockFile)); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	f, err := flock(dataDir, syscall.LOCK_SH)
	if errors.Is(err, ErrLocked) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return false, f.Close()
}
