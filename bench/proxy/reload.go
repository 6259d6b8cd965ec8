package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tatami-platform/tatami/bench/proxy/load"
	"github.com/tatami-platform/tatami/bench/proxy/peer"
)

// reloadRate is the load during changes, in requests per second: enough that a
// lost one is seen, and little enough that the machine is not what is measured.
const reloadRate = 2000

// lostPrefix begins the failure of a server that lost a request.
const lostPrefix = "a request was lost"

// patience is how long a change may take.
const patience = 10 * time.Second

// weighings is how often memory is measured before and after all changes, and
// weighPause the time between two of them.
const (
	weighings  = 5
	weighPause = 100 * time.Millisecond
)

// took is how long a change took until it was acknowledged, which is 0 where
// nothing does that, and until its effect was seen.
type took struct{ ack, seen time.Duration }

// changer makes the change with a number, from 0.
type changer func(ctx context.Context, i int) (took, error)

// reload changes the configuration of our server while requests come in.
func (s settings) reload(ctx context.Context, e *env, c benchCase, programs []peer.Program, r *caseResult) error {
	for _, p := range programs {
		if p.Name != peer.Tatami {
			continue
		}
		r.Peers = append(r.Peers, peerResult{Name: p.Name})
		into := &r.Peers[len(r.Peers)-1]
		var err error
		if c.kind == reload {
			err = s.reloadStream(ctx, e, c, p, into)
		} else {
			err = s.reloadFile(ctx, e, c, p, into)
		}
		if err != nil {
			into.Failure = err.Error()
		}
	}
	return ctx.Err()
}

// underLoad makes all changes, and looks at memory before them and after them.
func (s settings) underLoad(ctx context.Context, c benchCase, t *entrant, change changer) error {
	client, err := t.keepAsking(ctx, load.Plan{Connections: c.connections, Rate: reloadRate})
	if err != nil {
		return err
	}
	err = s.changeAll(ctx, t, client, change)
	if lost := client.end(); lost != nil {
		return errors.Join(fmt.Errorf(lostPrefix+": %w\n%s", lost, told(t.process)), err)
	}
	return err
}

// told is what the server has written, without the requests that came before
// their route.
func told(p *peer.Process) string {
	var out strings.Builder
	for line := range strings.Lines(p.Output()) {
		if !strings.Contains(line, `"no_route"`) {
			out.WriteString(line)
		}
	}
	return out.String()
}

func (s settings) changeAll(ctx context.Context, t *entrant, client *background, change changer) error {
	if err := t.steady(ctx, s.steady); err != nil {
		return err
	}
	for i := range s.changes {
		time.Sleep(gap(i))
		if client.ended() {
			return nil // end says why
		}
		took, err := change(ctx, i)
		if err != nil {
			return fmt.Errorf("change %d: %w\n%s", i, err, told(t.process))
		}
		t.result.Apply.add(millis(took.seen))
		if took.ack > 0 {
			t.result.Ack.add(millis(took.ack))
		}
	}
	return t.steady(ctx, s.steady)
}

// gap is the time before a change. Every other one comes when the server has long
// come to rest and given memory back, the others soon after that.
func gap(i int) time.Duration {
	if i%2 == 0 {
		return 700 * time.Millisecond
	}
	return 100 * time.Millisecond
}

// steady measures memory after a while without changes.
func (t *entrant) steady(ctx context.Context, after time.Duration) error {
	for range weighings {
		m, err := t.after(ctx, after)
		if err != nil {
			return err
		}
		t.result.RSS.add(float64(m.RSS))
		t.result.PSS.add(float64(m.PSS))
		t.result.Memory = m
		after = weighPause
	}
	return nil
}

// reloadFile adds a service to the file. A change counts from the moment that the
// file is in its place and the process is told so.
func (s settings) reloadFile(ctx context.Context, e *env, c benchCase, p peer.Program, into *peerResult) error {
	t, err := start(ctx, e, c, p)
	if t != nil {
		defer t.process.Stop()
	}
	if err != nil {
		return err
	}
	t.result = into
	return s.underLoad(ctx, c, t, func(ctx context.Context, i int) (took, error) {
		return addService(ctx, e, c, p, t, c.services+i+1)
	})
}

// addService changes the file so that there are n services, and waits for an
// answer of the last.
func addService(ctx context.Context, e *env, c benchCase, p peer.Program, t *entrant, n int) (took, error) {
	w := newWatcher(t.address, serviceHost(n-1), prefix(0))
	defer w.close()
	if err := w.absent(ctx); err != nil {
		return took{}, err
	}
	spec, err := e.spec(ctx, c)
	if err != nil {
		return took{}, err
	}
	spec.Listen, spec.Services = t.address, e.services(c, n)
	began, err := p.Rewrite(t.process, spec)
	if err != nil {
		return took{}, err
	}
	if err := t.process.Reload(); err != nil {
		return took{}, err
	}
	seen, err := w.wait(ctx, began)
	return took{seen: seen}, err
}

// watcher asks for what is not there yet, over a connection of its own.
type watcher struct {
	client           *http.Client
	addr, host, path string
}

func newWatcher(addr, host, path string) watcher {
	return watcher{client: &http.Client{Timeout: patience, Transport: &http.Transport{}}, addr: addr, host: host, path: path}
}

func (w watcher) close() { w.client.CloseIdleConnections() }

// absent is an error when the answer is there before the change.
func (w watcher) absent(ctx context.Context) error {
	there, err := w.answers(ctx)
	if err == nil && there {
		err = fmt.Errorf("%s%s answers before it is there", w.host, w.path)
	}
	return err
}

// wait returns how long it took to the first good answer.
func (w watcher) wait(ctx context.Context, began time.Time) (time.Duration, error) {
	for time.Since(began) < patience {
		there, err := w.answers(ctx)
		if err != nil {
			return 0, err
		}
		if there {
			return time.Since(began), nil
		}
		time.Sleep(200 * time.Microsecond)
	}
	return 0, fmt.Errorf("%s%s has no good answer after %s", w.host, w.path, patience)
}

func (w watcher) answers(ctx context.Context) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.addr+w.path, http.NoBody)
	if err != nil {
		return false, err
	}
	req.Host = w.host
	answer, err := w.client.Do(req)
	if err != nil {
		return false, err
	}
	return answer.StatusCode == http.StatusOK, answer.Body.Close()
}
