package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/tatami-platform/tatami/examples/shop/internal/role"
)

func main() {
	os.Exit(run())
}

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	return role.Main(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
}
