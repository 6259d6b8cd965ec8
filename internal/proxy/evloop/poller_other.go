//go:build !linux

package evloop

func newPoller(l *Loop, _ Kind) (poller, error) { return newPortable(l), nil }
