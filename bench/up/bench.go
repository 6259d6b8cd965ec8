package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/tatami-platform/tatami/bench/machine"
)

// errMissed says that the figures are there, and not all as they should be.
var errMissed = errors.New("a target was missed")

// settings are what the program was asked for.
type settings struct {
	bin    string
	output string
	runs   int
	// rest is how long a cluster is left alone before its memory is read.
	rest time.Duration
}

func parse(args []string, errs io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("up", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.StringVar(&s.bin, "bin", "../bin/tatami", "the program to measure")
	flags.StringVar(&s.output, "o", "table", "output form: table or json")
	flags.IntVar(&s.runs, "n", 5, "number of runs")
	flags.DurationVar(&s.rest, "rest", 30*time.Second, "rest before the memory is read")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if s.output != "table" && s.output != "json" {
		return s, fmt.Errorf("-o %s: there are table and json", s.output)
	}
	if s.runs < 1 {
		return s, fmt.Errorf("-n %d: at least one run is needed", s.runs)
	}
	bin, err := filepath.Abs(s.bin)
	if err != nil {
		return s, err
	}
	s.bin = bin
	if _, err := os.Stat(bin); err != nil {
		return s, fmt.Errorf("%w: run `make build` first", err)
	}
	return s, nil
}

func bench(ctx context.Context, args []string, out, errs io.Writer) error {
	s, err := parse(args, errs)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	version, err := exec.CommandContext(ctx, s.bin, "version").Output()
	if err != nil {
		return fmt.Errorf("tatami version: %w", err)
	}
	first, _, _ := strings.Cut(string(version), "\n")
	r := report{Machine: machine.Here(), Tatami: first, Runs: s.runs, RestSeconds: s.rest.Seconds()}
	for i := range s.runs {
		for _, shop := range []bool{false, true} {
			fmt.Fprintf(errs, "run %d of %d, %s\n", i+1, s.runs, variation(shop))
			m, err := measure(ctx, s, shop)
			if err != nil {
				return fmt.Errorf("run %d, %s: %w", i+1, variation(shop), err)
			}
			r.add(shop, m)
		}
	}
	r.judge()
	if err := r.write(out, s.output); err != nil {
		return err
	}
	if !r.met() {
		return errMissed
	}
	return nil
}

func variation(shop bool) string {
	if shop {
		return "with the shop"
	}
	return "without the shop"
}
