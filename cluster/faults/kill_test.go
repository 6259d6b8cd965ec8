//go:build linux

package faults

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	killRounds     = 20
	killsAtStart   = 8
	killsWithNode  = 7
	longestStart   = 4 * time.Second
	longestRunning = time.Second
)

// ledger is what the API server acknowledged, by name.
type ledger struct {
	mu    sync.Mutex
	acked map[string]string
}

func (l *ledger) copy() map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.acked)
}

// write creates objects until ctx ends, through kills and starts. A name is never
// used twice, so an object whose answer was lost counts for nothing.
func (l *ledger) write(ctx context.Context, c *cluster, size int) {
	var client *kubernetes.Clientset
	for i := 0; ctx.Err() == nil; i++ {
		if client == nil {
			// After a start the port or the authority may be another.
			client, _ = c.client()
		}
		name, data := fmt.Sprintf("written-%06d", i), fmt.Sprintf("%0*d", size, i)
		if client == nil || l.create(ctx, client, name, data) != nil {
			client = nil
			time.Sleep(20 * time.Millisecond)
			continue
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (l *ledger) create(ctx context.Context, client kubernetes.Interface, name, data string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	_, err := client.CoreV1().ConfigMaps(metav1.NamespaceDefault).Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"data": data},
	}, metav1.CreateOptions{})
	if err == nil {
		l.mu.Lock()
		l.acked[name] = data
		l.mu.Unlock()
	}
	return err
}

// mustHold compares the cluster with everything acknowledged so far.
func (l *ledger) mustHold(t *testing.T, c *cluster) int {
	t.Helper()
	want := l.copy()
	list, err := c.mustClient(t).CoreV1().ConfigMaps(metav1.NamespaceDefault).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for i := range list.Items {
		got[list.Items[i].Name] = list.Items[i].Data["data"]
	}
	for name, data := range want {
		if got[name] != data {
			t.Errorf("%s was acknowledged with %q, the cluster has %q", name, data, got[name])
		}
	}
	return len(want)
}

// inBackground starts the writer; the function that it returns ends it.
func (l *ledger) inBackground(t *testing.T, c *cluster, size int) func() {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { l.write(ctx, c, size) })
	stop := func() { cancel(); done.Wait() }
	t.Cleanup(stop)
	return stop
}

// killer kills at random moments.
type killer struct {
	*cluster
	rng *rand.Rand
}

// TestKillAnyMoment kills the server, and in some rounds `up` as well, while
// objects are written; every acknowledged one must be there after the next `up`.
func TestKillAnyMoment(t *testing.T) {
	needRoot(t)
	c := newCluster(t, "fk")
	seed := killSeed(t)
	t.Logf("seed %d; TATAMI_SEED repeats it", seed)
	k := &killer{cluster: c, rng: rand.New(rand.NewPCG(seed, 0))}
	atStart := chosen(k.rng, killsAtStart)
	withNode := chosen(k.rng, killsWithNode)
	c.run("up", "--node", "none").must(t)
	book := &ledger{acked: map[string]string{}}
	stop := book.inBackground(t, c, 16)

	for round := range killRounds {
		node := "none"
		if withNode[round] {
			node = "real"
		}
		if atStart[round] {
			k.duringStart(t, round, node)
		} else {
			time.Sleep(time.Duration(k.rng.Int64N(int64(longestRunning))))
			k.killServer()
			t.Logf("round %d: killed while running, next with node %s", round, node)
		}
		began := time.Now()
		c.run("up", "--node", node).must(t)
		t.Logf("round %d: up again after %s with %d objects", round, time.Since(began).Round(time.Millisecond), book.mustHold(t, c))
	}
	stop()
	if n := book.mustHold(t, c); n < killRounds {
		t.Errorf("only %d objects were written, which proves little", n)
	}
}

func killSeed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("TATAMI_SEED")
	if text == "" {
		return uint64(time.Now().UnixNano())
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("TATAMI_SEED: %v", err)
	}
	return seed
}

// chosen picks n of the rounds.
func chosen(rng *rand.Rand, n int) map[int]bool {
	picked := map[int]bool{}
	for _, round := range rng.Perm(killRounds)[:n] {
		picked[round] = true
	}
	return picked
}

// duringStart stops the cluster by a kill, starts it, and kills the server, `up`,
// or both before the start can have ended.
func (k *killer) duringStart(t *testing.T, round int, node string) {
	t.Helper()
	k.killServer()
	up := k.start(t.Context(), "up", "--node", node)
	if up.started != nil {
		t.Fatal(up.started)
	}
	delay := time.Duration(k.rng.Int64N(int64(longestStart)))
	time.Sleep(delay)
	victim := []string{"server", "up", "both"}[k.rng.IntN(3)]
	if victim != "server" {
		_ = up.cmd.Process.Signal(syscall.SIGKILL)
	}
	if victim != "up" {
		k.killServer()
	}
	// Told its server is dead, `up` may fail; what counts is the next one.
	r := up.wait()
	t.Logf("round %d: killed %s %s after the start with node %s; up ended with %d", round, victim, delay.Round(time.Millisecond), node, r.code)
}
