package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

const (
	clusterName = "bench"
	downTimeout = time.Minute
)

// measured is what one cluster gave: times in milliseconds since `tatami up`
// was started, memory in bytes.
type measured struct {
	times  map[string]int64
	memory memory
}

// cluster is the one that is measured now.
type cluster struct {
	bin, dir string
	port     int
	shop     bool
}

func (c cluster) data() string { return filepath.Join(c.dir, "d") }

// measure runs one cluster from an empty folder to its end.
func measure(ctx context.Context, s settings, shop bool) (m measured, err error) {
	dir, err := os.MkdirTemp("/tmp", "ttb")
	if err != nil {
		return m, err
	}
	defer os.RemoveAll(dir)
	port, err := freePort(ctx)
	if err != nil {
		return m, err
	}
	c := cluster{bin: s.bin, dir: dir, port: port, shop: shop}
	defer func() {
		// Also after an interrupt; ErrNotRunning is fine.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), downTimeout)
		defer cancel()
		_ = c.tatami(ctx, "down", "--purge")
	}()
	if m.times, err = c.up(ctx, shop); err != nil {
		return m, err
	}
	if err := pause(ctx, s.rest); err != nil {
		return m, err
	}
	if m.memory, err = memoryOf(c.data()); err != nil {
		return m, err
	}
	return m, c.again(ctx, m.times)
}

// again measures the way down and a start with data. The shop's pods are there
// after it as well, so it is measured without them only.
func (c cluster) again(ctx context.Context, times map[string]int64) error {
	began := time.Now()
	if err := c.tatami(ctx, "down"); err != nil {
		return err
	}
	times["down"] = time.Since(began).Milliseconds()
	if c.shop {
		return nil
	}
	second, err := c.up(ctx, false)
	if err != nil {
		return err
	}
	times["restartAPIReady"], times["restartUp"] = second["apiReady"], second["up"]
	return nil
}

// milestone is something to wait for while `tatami up` runs.
type milestone struct {
	name    string
	every   time.Duration
	reached func(context.Context, *watcher) bool
}

func milestones(shop bool) []milestone {
	all := []milestone{
		{"apiReady", 20 * time.Millisecond, apiReady},
		{"nodeReady", 100 * time.Millisecond, nodeReady},
	}
	if shop {
		all = append(
			all,
			milestone{"shopServing", 50 * time.Millisecond, shopServing},
			milestone{"firstOrder", 200 * time.Millisecond, firstOrder},
		)
	}
	return all
}

// up starts the cluster and says when each milestone was reached.
func (c cluster) up(ctx context.Context, shop bool) (map[string]int64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	args := []string{"--node", "real", "--port", strconv.Itoa(c.port)}
	if shop {
		args = append(args, "--shop")
	}
	type reached struct {
		name   string
		millis int64
	}
	all := milestones(shop)
	times := make(chan reached, len(all))
	w := &watcher{dataDir: c.data(), api: fmt.Sprintf("https://127.0.0.1:%d", c.port)}
	defer w.close()
	began := time.Now()
	for _, m := range all {
		go func() {
			for !m.reached(ctx, w) {
				if pause(ctx, m.every) != nil {
					return
				}
			}
			times <- reached{m.name, time.Since(began).Milliseconds()}
		}()
	}
	if err := c.tatami(ctx, "up", args...); err != nil {
		return nil, err
	}
	found := map[string]int64{"up": time.Since(began).Milliseconds()}
	late := time.After(time.Minute)
	for range all {
		select {
		case r := <-times:
			found[r.name] = r.millis
		case <-late:
			return nil, fmt.Errorf("not everything was reached in time, only %v", found)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return found, nil
}

// tatami runs a verb on the cluster; its messages are shown when it fails.
func (c cluster) tatami(ctx context.Context, verb string, args ...string) error {
	args = append([]string{
		verb, "--name", clusterName, "--data-dir", c.data(), "--kubeconfig", filepath.Join(c.dir, "kubeconfig"),
	}, args...)
	cmd := exec.CommandContext(ctx, c.bin, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = downTimeout
	var messages bytes.Buffer
	cmd.Stderr = &messages
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("tatami %s: %w\n%s", verb, errors.Join(err, ctx.Err()), messages.Bytes())
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func freePort(ctx context.Context) (int, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(port)
}
