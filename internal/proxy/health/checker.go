package health

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"reflect"
	"sync"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
)

// Defaults of connect.HealthCheck and connect.Cluster.
const (
	defaultInterval = 10 * time.Second
	defaultTimeout  = 2 * time.Second
	defaultConnect  = time.Second
	defaultWorkers  = 64
)

// Options are what a Checker needs from others.
type Options struct {
	// Report gets the result of every check, from several goroutines: how long it
	// took and, when it is not ok, why. It must not wait.
	Report func(cluster, address string, ok bool, err error, took time.Duration)
	// TLS makes the client configuration of a cluster, with its trust and its
	// certificate; called for every new connection. NextProtos is set by us. nil:
	// clusters with TLS fail their checks.
	TLS func(*connect.ClientTLS) (*tls.Config, error)
	// Workers bounds the checks that run at once (64). When all of them wait for
	// endpoints that do not answer, checks come later than planned.
	Workers int
	// UserAgent is what HTTP endpoints see.
	UserAgent string
}

// ErrUnhealthy is wrapped by the errors of endpoints that answered, but not what
// they should.
var ErrUnhealthy = errors.New("unhealthy answer")

// ErrNoTLS is the result of checks for which there is no TLS configuration.
var ErrNoTLS = errors.New("no TLS configuration for health checks")

// Checker checks the endpoints of clusters.
type Checker struct {
	options Options
	dialer  net.Dialer

	mu      sync.Mutex
	targets map[key]*target
	plan    schedule
	changed chan struct{}
}

type key struct{ cluster, address string }

// target is one endpoint of one cluster. While a check of it runs, conn belongs to
// that check.
type target struct {
	key
	spec    spec
	check   connect.HealthCheck // spec.check with its defaults
	dial    string              // address to connect to, with the check's port
	network string

	item    item
	running bool
	removed bool
	conn    conn // kept between checks; nil: none
	uses    int  // checks that conn has served
}

// spec is all of a cluster that matters to its checks.
type spec struct {
	check          connect.HealthCheck
	tls            *connect.ClientTLS
	protocol       connect.UpstreamProtocol
	connectTimeout time.Duration
}

// maxUses is after how many checks a connection is made anew, so that a rotated
// certificate or a full listen queue is noticed at some time.
const maxUses = 100

// conn is a connection that can be asked again.
type conn interface {
	// ask sends one check and reads its answer. reusable says whether the
	// connection can be kept.
	ask(t *target, o *Options) (reusable bool, err error)
	net.Conn
}

// New makes a checker without endpoints. It does nothing before Run.
func New(o Options) *Checker {
	if o.Workers <= 0 {
		o.Workers = defaultWorkers
	}
	if o.UserAgent == "" {
		o.UserAgent = "tatami-proxy"
	}
	return &Checker{
		options: o, targets: map[key]*target{}, changed: make(chan struct{}, 1),
		dialer: net.Dialer{KeepAlive: -1}, // a check tells sooner than a probe of TCP
	}
}

// Set replaces all clusters. Endpoints that stay keep their schedule and, unless
// what their cluster says of checks changed, their connection; what a check of an
// endpoint that went away finds is not reported.
func (c *Checker) Set(clusters []*connect.Cluster) {
	c.mu.Lock()
	defer c.mu.Unlock()
	wanted := map[key]bool{}
	for _, cluster := range clusters {
		if cluster.HealthCheck == nil {
			continue
		}
		for i := range cluster.Endpoints {
			k := key{cluster.Name, cluster.Endpoints[i].Address}
			wanted[k] = true
			c.put(k, cluster, &cluster.Endpoints[i])
		}
	}
	for k, t := range c.targets {
		if !wanted[k] {
			delete(c.targets, k)
			c.drop(t)
		}
	}
	c.wake()
}

// put adds a target or changes it. The caller holds the lock.
func (c *Checker) put(k key, cluster *connect.Cluster, e *connect.Endpoint) {
	old := c.targets[k]
	s := spec{*cluster.HealthCheck, cluster.TLS, cluster.Protocol, cluster.ConnectTimeout}
	if old != nil && reflect.DeepEqual(old.spec, s) {
		return
	}
	t := newTarget(k, s, e)
	delay := time.Duration(rand.Int64N(int64(min(t.check.Interval, time.Second))))
	due := time.Now().Add(delay)
	if old != nil {
		due = old.item.due
		if soonest := time.Now().Add(t.check.Interval); due.After(soonest) || old.running {
			due = soonest
		}
		c.drop(old)
	}
	c.targets[k] = t
	t.item = item{target: t, due: due}
	c.plan.add(&t.item)
}

// drop forgets a target. A running check closes its connection itself.
func (c *Checker) drop(t *target) {
	t.removed = true
	c.plan.remove(&t.item)
	if t.conn != nil && !t.running {
		t.conn.Close()
		t.conn = nil
	}
}

func newTarget(k key, s spec, e *connect.Endpoint) *target {
	t := &target{key: k, spec: s, check: s.check}
	if t.check.Interval <= 0 {
		t.check.Interval = defaultInterval
	}
	if t.check.Timeout <= 0 {
		t.check.Timeout = defaultTimeout
	}
	if t.check.ExpectFirst == 0 {
		t.check.ExpectFirst, t.check.ExpectLast = 200, 299
	}
	t.check.ExpectLast = max(t.check.ExpectFirst, t.check.ExpectLast)
	if t.check.Path == "" {
		t.check.Path = "/"
	}
	t.network, t.dial = dialAddress(e, t.check.Port)
	return t
}

func (c *Checker) wake() {
	select {
	case c.changed <- struct{}{}:
	default: // it looks anyway
	}
}

// Run schedules and runs checks until ctx is over, waits for those that run, and
// closes all connections. Call it once.
func (c *Checker) Run(ctx context.Context) {
	free := make(chan struct{}, c.options.Workers)
	var workers sync.WaitGroup
	defer c.closeAll()
	defer workers.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		t, wait := c.next(time.Now())
		if t == nil {
			timer.Reset(wait)
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			case <-c.changed:
			}
			continue
		}
		select {
		case <-ctx.Done():
			c.abandon(t)
			return
		case free <- struct{}{}:
		}
		workers.Go(func() {
			defer func() { <-free }()
			c.run(ctx, t)
		})
	}
}

// next takes the target whose check is due, or says how long none is.
func (c *Checker) next(now time.Time) (*target, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, wait := c.plan.next(now)
	if i == nil {
		return nil, wait
	}
	i.target.running = true
	return i.target, 0
}

// run does one check and reports it.
func (c *Checker) run(ctx context.Context, t *target) {
	begin := time.Now()
	ctx, cancel := context.WithDeadline(ctx, begin.Add(t.check.Timeout))
	defer cancel()
	c.mu.Lock()
	kept := t.conn
	t.conn = nil
	c.mu.Unlock()
	kept, err := c.check(ctx, t, kept)
	took := time.Since(begin)
	if err != nil {
		err = fmt.Errorf("health check of %s: %w", t.address, err)
	}
	if c.finish(t, kept) && !errors.Is(ctx.Err(), context.Canceled) {
		c.options.Report(t.cluster, t.address, err == nil, err, took)
	}
}

// abandon gives back a target that no worker took.
func (c *Checker) abandon(t *target) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t.running = false
	if t.conn != nil {
		t.conn.Close()
		t.conn = nil
	}
}

// finish plans the next check, keeps the connection and says whether the target
// is still wanted.
func (c *Checker) finish(t *target, kept conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	t.running = false
	if t.removed {
		if kept != nil {
			kept.Close()
		}
		return false
	}
	t.conn = kept
	// A tenth of jitter keeps proxies that started together from asking together.
	jitter := 0.9 + 0.2*rand.Float64()
	t.item.due = time.Now().Add(time.Duration(float64(t.check.Interval) * jitter))
	c.plan.add(&t.item)
	c.wake()
	return true
}

// check asks once, and once more where a kept connection had died meanwhile.
func (c *Checker) check(ctx context.Context, t *target, kept conn) (conn, error) {
	if kept != nil {
		reusable, err := c.ask(ctx, t, kept)
		if err == nil || errors.Is(err, ErrUnhealthy) {
			return t.keep(kept, reusable), err
		}
		kept.Close()
		if ctx.Err() != nil || timedOut(err) {
			return nil, err
		}
	}
	t.uses = 0
	fresh, err := c.connect(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if t.check.Protocol == connect.CheckTCP {
		fresh.Close()
		return nil, nil
	}
	reusable, err := c.ask(ctx, t, fresh)
	return t.keep(fresh, reusable), err
}

// keep returns the connection if it may serve the next check, else closes it.
func (t *target) keep(c conn, reusable bool) conn {
	if t.uses++; reusable && t.uses < maxUses {
		return c
	}
	c.Close()
	return nil
}

func timedOut(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// ask bounds a question by the context: its deadline, and its end.
func (c *Checker) ask(ctx context.Context, t *target, on conn) (bool, error) {
	deadline, _ := ctx.Deadline()
	if err := on.SetDeadline(deadline); err != nil {
		return false, err
	}
	stop := context.AfterFunc(ctx, func() { _ = on.SetDeadline(time.Unix(1, 0)) })
	reusable, err := on.ask(t, &c.options)
	return stop() && reusable, err
}

func (c *Checker) closeAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.targets {
		if t.conn != nil {
			t.conn.Close()
			t.conn = nil
		}
	}
}
