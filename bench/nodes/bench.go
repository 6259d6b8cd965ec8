package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tatami-platform/tatami/bench/machine"
)

// errMissed says that the figures are there, and not all as they should be.
var errMissed = errors.New("a target was missed")

// settings are what the program was asked for.
type settings struct {
	output string
	// only are parts of the names of the cases to run; none means all.
	only  []string
	quick bool
	// limit is the time that Karpenter has for one case.
	limit time.Duration
	// child and part make this process measure one part of one case.
	child string
	part  part
}

func parse(args []string, errs io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("nodes", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.StringVar(&s.output, "o", "table", "output form: table or json")
	flags.Func("case", "run the cases whose name contains this, e.g. micro-10k; may be repeated", func(name string) error {
		s.only = append(s.only, name)
		return nil
	})
	flags.BoolVar(&s.quick, "quick", false, "take a tenth of the pods: to try it out, not to measure")
	flags.DurationVar(&s.limit, "karpenter", 4*time.Minute, "time that Karpenter has for one case; in a cluster it takes one minute")
	flags.StringVar(&s.child, "child", "", "used by the program itself")
	flags.StringVar((*string)(&s.part), "part", "", "used by the program itself")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if s.output != "table" && s.output != "json" {
		return s, fmt.Errorf("-o %s: there are table and json", s.output)
	}
	if len(s.chosen()) == 0 {
		return s, fmt.Errorf("-case %s: there are %s", strings.Join(s.only, ", "), strings.Join(names(), ", "))
	}
	return s, nil
}

func names() []string {
	var out []string
	for _, c := range cases() {
		out = append(out, c.name)
	}
	return out
}

func (s settings) chosen() []benchCase {
	var out []benchCase
	for _, c := range cases() {
		chosen := len(s.only) == 0
		for _, part := range s.only {
			chosen = chosen || strings.Contains(c.name, part)
		}
		if chosen {
			out = append(out, c)
		}
	}
	return out
}

func bench(ctx context.Context, args []string, out, errs io.Writer) error {
	s, err := parse(args, errs)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if s.child != "" {
		return measure(ctx, s, out)
	}
	r := report{Machine: machine.Here(), LoadAverage: loadAverage(), Karpenter: karpenterVersion(), Quick: s.quick}
	for _, c := range s.chosen() {
		result, err := s.runAll(ctx, c, errs)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		r.Cases = append(r.Cases, result)
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
