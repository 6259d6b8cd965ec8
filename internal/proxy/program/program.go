package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/proxy"
	"github.com/tatami-platform/tatami/internal/proxy/admin"
	"github.com/tatami-platform/tatami/internal/proxy/config"
	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/handover"
)

// Exit codes.
const (
	exitDone        = 0
	exitError       = 1
	exitInterrupted = 130
)

// IO is where the program writes.
type IO struct {
	Out, Err io.Writer
	// Version is that of the program, "" in development.
	Version string
}

// Main runs the program and returns its exit code.
func Main(args []string, std IO) int {
	f, err := parse(args, std.Out)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return exitDone
	case err != nil:
		fmt.Fprintln(std.Err, "error:", err)
		return exitError
	case f.version:
		fmt.Fprintln(std.Out, "tatami-proxy", version(std.Version))
		return exitDone
	case f.drain:
		if err := askToDrain(f.admin); err != nil {
			fmt.Fprintln(std.Err, "error:", err)
			return exitError
		}
		return exitDone
	}
	p := &process{flags: f, std: std, signals: make(chan os.Signal, 4), reload: make(chan os.Signal, 1)}
	p.diagnostics = newDiagnostics(std.Err)
	signal.Notify(p.signals, os.Interrupt, syscall.SIGTERM)
	signal.Notify(p.reload, syscall.SIGHUP)
	// Whoever reads the logs may go away: that must not end the proxy.
	signal.Ignore(syscall.SIGPIPE)
	defer signal.Stop(p.signals)
	defer signal.Stop(p.reload)
	code, err := p.run()
	p.diagnostics.end()
	if err != nil {
		fmt.Fprintln(std.Err, "error:", err)
	}
	return code
}

func version(v string) string {
	if v == "" {
		return "(development)"
	}
	return v
}

// process is one run of the program.
type process struct {
	flags   *flags
	std     IO
	signals chan os.Signal
	reload  chan os.Signal
	server  *proxy.Server
	drain   chan struct{}
	// endAdmin ends the admin endpoint; it may be called again.
	endAdmin func()

	diagnostics *diagnostics
}

func (p *process) say(format string, args ...any) { p.diagnostics.say(format, args...) }

func (p *process) run() (int, error) {
	if p.flags.check {
		return p.check()
	}
	taker := &handover.Taker{}
	if p.flags.handover != "" {
		var err error
		if taker, err = handover.Take(p.flags.handover); err != nil {
			return exitError, err
		}
		defer taker.GiveUp()
	}
	kind := evloop.Native
	if p.flags.portable {
		kind = evloop.Portable
	}
	s := &p.flags.simple
	server, err := proxy.New(proxy.Options{
		Loops: p.flags.loops, Kind: kind, Name: s.Name, Service: s.Service, Zone: s.Zone, Version: p.std.Version,
		Log: p.std.Out, Diagnostics: p.say, Inherited: taker.Sockets,
	})
	if err != nil {
		return exitError, err
	}
	p.server = server
	p.drain = make(chan struct{}, 1)
	p.endAdmin = func() {}
	defer func() { _ = server.Close() }()
	return p.serve(taker)
}

// serve runs until the source fails for good, a signal or a successor ends it.
func (p *process) serve(taker *handover.Taker) (int, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	source, err := p.source(ctx)
	if err != nil {
		return exitError, err
	}
	if !taker.Found() {
		if err := p.admin(ctx); err != nil {
			return exitError, err
		}
	}
	defer func() { p.endAdmin() }()
	first := make(chan struct{})
	ended := make(chan error, 1)
	go func() { ended <- source(ctx, p.applier(first)) }() //nolint:contextcheck // to listen waits for nothing
	select {
	case err := <-ended:
		return exitError, err
	case <-p.signals:
		return exitInterrupted, nil
	case <-first:
	}
	p.succeed(ctx, taker)
	if p.flags.handover != "" {
		giver, err := handover.Give(p.flags.handover, p.server.Sockets, p.taken)
		if err != nil {
			return exitError, err
		}
		defer giver.Close()
	}
	return p.wait(ended)
}

// adminPatience is how long the predecessor may take to leave the address of its
// admin endpoint.
const adminPatience = 5 * time.Second

// succeed tells the predecessor, if there is one, that we serve, and follows it on
// the admin endpoint, too.
func (p *process) succeed(ctx context.Context, taker *handover.Taker) {
	found := taker.Found()
	if err := taker.Served(); err != nil {
		p.say("hand-over: %v", err)
	}
	if !found {
		return
	}
	err := p.admin(ctx)
	for deadline := time.Now().Add(adminPatience); errors.Is(err, syscall.EADDRINUSE) && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
		err = p.admin(ctx)
	}
	if err != nil {
		p.say("%v", err) // requests matter more
	}
}

// taken leaves everything to the successor.
func (p *process) taken() {
	p.endAdmin()
	p.requestDrain()
}

// admin serves the admin endpoint, if one is wanted, until endAdmin is called.
func (p *process) admin(ctx context.Context) error {
	if p.flags.admin == "" {
		return nil
	}
	ln, err := admin.Listen(ctx, p.flags.admin)
	if err != nil {
		return err
	}
	at := p.flags.admin
	if ln.Addr().Network() == "tcp" {
		at = ln.Addr().String() // the port may have been 0
	}
	p.say("admin endpoint on %s", at)
	h := admin.New(admin.Options{
		Source: p.server.Admin(), Metrics: p.server.Telemetry().Metrics(),
		Version: version(p.std.Version), Start: time.Now(),
	})
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := admin.Serve(ctx, ln, h); err != nil {
			p.say("%v", err)
		}
	}()
	p.endAdmin = func() {
		cancel()
		<-done
	}
	return nil
}

// wait serves until something ends it.
func (p *process) wait(ended <-chan error) (int, error) {
	select {
	case err := <-ended:
		if err != nil {
			return exitError, err
		}
		return exitDone, nil
	case <-p.drain:
		p.say("draining, for at most %s", p.flags.drainTimeout)
		p.end()
		return exitDone, nil
	case s := <-p.signals:
		p.say("%s: draining, for at most %s", s, p.flags.drainTimeout)
		p.end()
		if s == os.Interrupt {
			return exitInterrupted, nil
		}
		return exitDone, nil
	}
}

// end drains; a second signal cuts it short.
func (p *process) end() {
	ctx, cancel := context.WithTimeout(context.Background(), p.flags.drainTimeout)
	defer cancel()
	go func() {
		select {
		case <-p.signals:
			cancel()
		case <-ctx.Done():
		}
	}()
	if cut := p.server.Drain(ctx); cut > 0 {
		p.say("%d connections were still open and are cut", cut)
	}
}

func (p *process) requestDrain() {
	select {
	case p.drain <- struct{}{}:
	default:
	}
}

// settle is how long after a change the memory that only the change needed is
// given back: reading 5,000 routes takes ten times what keeping them does.
const settle = 500 * time.Millisecond

// applier is what the source calls; first is closed when a configuration is in
// force.
func (p *process) applier(first chan struct{}) config.Apply {
	serving := false
	settled := time.AfterFunc(settle, giveBack)
	return func(c *connect.Config) error {
		settled.Reset(settle)
		p.complete(c)
		if err := p.server.Apply(c); err != nil {
			return err
		}
		if serving {
			p.say("configuration %s is in force", c.Version)
			return nil
		}
		serving = true
		for _, l := range c.Listeners {
			p.say("listening on %s (%s)", p.server.Addr(l.Address), l.Name)
		}
		close(first)
		return nil
	}
}

// complete fills in what the flags say and the configuration does not.
func (p *process) complete(c *connect.Config) {
	if a, err := p.flags.logging(); err == nil && c.Node.AccessLog == (connect.AccessLog{}) {
		c.Node.AccessLog = a
	}
}
