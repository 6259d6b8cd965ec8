package server

import (
	"encoding/json"
	"fmt"
	"net"
	"os"

	"github.com/tatami-platform/tatami/cluster/internal/instance"
)

// Verb is the hidden first argument that makes the program a server.
const Verb = "serve-cluster"

const configFile = "serve.json"

// The files that a server inherits, by number. Number 3 is the lock; it is left
// open for every process that the server starts, so that the lock is free only
// when all of them are gone.
const (
	listenerFD    = 4
	hostNetworkFD = 5
)

// WriteConfig leaves the configuration for the server.
func WriteConfig(c instance.Config) error {
	raw, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return instance.WriteFile(c.Path(configFile), raw)
}

func readConfig(dataDir string) (instance.Config, error) {
	var c instance.Config
	raw, err := os.ReadFile(instance.Config{DataDir: dataDir}.Path(configFile))
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return c, fmt.Errorf("configuration of the server: %w", err)
	}
	return c, nil
}

func inheritedListener() (net.Listener, error) {
	f := os.NewFile(listenerFD, "listener")
	if f == nil {
		return nil, fmt.Errorf("no listener was handed over; start clusters with `tatami up`")
	}
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("listener that was handed over: %w", err)
	}
	return l, nil
}
