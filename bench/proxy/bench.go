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
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tatami-platform/tatami/bench/machine"
	"github.com/tatami-platform/tatami/bench/proxy/peer"
)

// errMissed says that the figures are there, and not all as they should be.
var errMissed = errors.New("a target was missed")

// settings are what the program was asked for.
type settings struct {
	output string
	// only chooses cases by name.
	only *regexp.Regexp
	// peers are the names of the servers to compare.
	peers []string
	// runs is the number of repetitions, slice how long one of them takes for
	// one server.
	runs  int
	slice time.Duration
	quick bool
	// changes is how many are made in reload cases, steady how long there is
	// none before memory is measured, busy how long a server has requests
	// before its footprint is.
	changes      int
	steady, busy time.Duration
	// bin is a built tatami-proxy; "" builds it.
	bin string
	// serve makes this process a backend.
	serve string
}

// The values that do not depend on flags. Changes are enough for a worst one to
// mean something.
const (
	defaultChanges = 40
	defaultSteady  = 2500 * time.Millisecond
	defaultBusy    = 3 * time.Second
)

func parse(args []string, errs io.Writer) (settings, error) {
	s := settings{
		peers:   []string{peer.Tatami, peer.HAProxy, peer.Nginx, peer.Traefik, peer.Caddy},
		changes: defaultChanges, steady: defaultSteady, busy: defaultBusy,
	}
	flags := flag.NewFlagSet("proxy", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.StringVar(&s.output, "o", "table", "output form: table or json")
	only := flags.String("case", "", "run the cases whose name matches this regular expression, e.g. '^h1'")
	flags.StringVar(only, "run", "", "the same as -case")
	flags.Func("peers", "servers to compare, with commas between; all by default", func(list string) error {
		s.peers = strings.Split(list, ",")
		return nil
	})
	flags.IntVar(&s.runs, "n", 7, "number of repetitions")
	flags.DurationVar(&s.slice, "slice", 1500*time.Millisecond, "time for one server in one repetition")
	flags.BoolVar(&s.quick, "quick", false, "three repetitions of 0.2 s: to try it out, not to measure")
	flags.StringVar(&s.bin, "bin", "", "a built tatami-proxy; it is built from the sources without this")
	flags.StringVar(&s.serve, "serve", "", "used by the program itself")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if s.output != "table" && s.output != "json" {
		return s, fmt.Errorf("-o %s: there are table and json", s.output)
	}
	if s.quick {
		s.runs, s.slice = 3, 200*time.Millisecond
		s.changes, s.steady, s.busy = 4, s.slice, s.slice
	}
	if s.runs < 1 || s.slice <= 0 {
		return s, fmt.Errorf("-n %d -slice %s: at least one repetition of some length is needed", s.runs, s.slice)
	}
	var err error
	if s.only, err = regexp.Compile(*only); err != nil {
		return s, fmt.Errorf("-case %s: %w", *only, err)
	}
	if len(s.chosen()) == 0 {
		return s, fmt.Errorf("-case %s: there are %s", *only, strings.Join(names(), ", "))
	}
	return s, s.absolute()
}

func (s *settings) absolute() (err error) {
	if s.bin != "" {
		s.bin, err = filepath.Abs(s.bin)
	}
	return err
}

func names() []string {
	var out []string
	for _, c := range cases() {
		out = append(out, c.name)
	}
	return out
}

func (s settings) chosen() []benchCase {
	return slices.DeleteFunc(cases(), func(c benchCase) bool { return !s.only.MatchString(c.name) })
}

func bench(ctx context.Context, args []string, out, errs io.Writer) error {
	s, err := parse(args, errs)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if s.serve != "" {
		return serve(ctx, s.serve, os.Stdin, out)
	}
	r, err := compare(ctx, s, errs)
	if err != nil {
		return err
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

// compare finds the servers, starts the backends and runs all cases.
func compare(ctx context.Context, s settings, errs io.Writer) (*report, error) {
	r := &report{Machine: machine.Here(), LoadAverage: loadAverage(), Runs: s.runs, SliceMillis: s.slice.Milliseconds(), Quick: s.quick}
	root, err := repository(ctx)
	if err != nil {
		return nil, err
	}
	shop := peer.Workshop{Root: root, Cache: filepath.Join(root, "bin", "peers"), Tatami: s.bin}
	for _, name := range s.peers {
		fmt.Fprintf(errs, "finding or building %s\n", name)
		p, err := shop.Program(ctx, name)
		v := version{Name: name, Version: p.Version}
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			v.Missing = err.Error()
			fmt.Fprintf(errs, "%s is left out: %v\n", name, err)
		} else {
			r.programs = append(r.programs, p)
		}
		r.Peers = append(r.Peers, v)
	}
	env, err := prepare(ctx)
	if err != nil {
		return nil, err
	}
	defer env.close()
	for _, c := range s.chosen() {
		result, err := s.measure(ctx, env, c, r.programs, errs)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		r.Cases = append(r.Cases, result)
	}
	return r, nil
}

// repository is the folder above the module that this runs in.
func repository(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	mod := strings.TrimSpace(string(out))
	if filepath.Base(filepath.Dir(mod)) != "bench" {
		return "", fmt.Errorf("%s is not the go.mod of bench: use `go -C bench run ./proxy`", mod)
	}
	return filepath.Dir(filepath.Dir(mod)), nil
}
