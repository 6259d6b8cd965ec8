package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	short := flag.Bool("short", false, "leave out the long tests")
	race := flag.Bool("race", false, "run the root module under the race detector where a C compiler is found")
	timeout := flag.Duration("timeout", 40*time.Minute, "longest time for the tests of one package")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r := runner{out: os.Stdout, short: *short, race: *race, timeout: *timeout}
	tally, err := r.run(ctx, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "testall:", err)
		os.Exit(2)
	}
	tally.report(os.Stdout)
	if tally.bad() {
		os.Exit(1)
	}
}
