//go:build !linux

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// Pods run on Linux only; elsewhere there is no orphan to reap, and waiting for
// the end is all there is to do.
func main() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	<-signals
}
