package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// Two channels: a full one drops signals, and deaths must not hide the end.
	end, death := make(chan os.Signal, 1), make(chan os.Signal, 1)
	// Process 1 gets no signal that it has not asked for, SIGTERM included.
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	signal.Notify(death, syscall.SIGCHLD)
	for {
		// Also before the first signal: a child may have ended by then.
		reap()
		select {
		case <-end:
			return
		case <-death:
		}
	}
}

// reap collects every child that has ended: several deaths may be told by one
// signal.
func reap() {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
	}
}
