package role_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/examples/shop/internal/role"
)

// asRole makes the test binary run a role instead of the tests, so that a test
// can kill real processes without building the program.
const asRole = "TEST_AS_ROLE"

func TestMain(m *testing.M) {
	if name := os.Getenv(asRole); name != "" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		os.Exit(role.Main(ctx, []string{name}, os.Environ(), os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// process is a role in a process of its own.
type process struct {
	role, addr, admin string
	cmd               *exec.Cmd
}

// start runs a role as a process and waits until it listens.
func start(t *testing.T, name string, environ ...string) *process {
	t.Helper()
	p := &process{role: name, cmd: exec.Command(os.Args[0])}
	// Nothing of this process's environment: only what the test says.
	p.cmd.Env = append(local(environ...), asRole+"="+name)
	p.cmd.Stderr = os.Stderr
	logs, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // Where it has ended already, all the better.
		_ = p.cmd.Wait()
	})
	lines := bufio.NewScanner(logs)
	for lines.Scan() {
		var line struct{ Msg, Admin, Addr string }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatalf("%s logs %s: %v", name, lines.Text(), err)
		}
		if line.Msg == "started" {
			p.addr, p.admin = line.Addr, line.Admin
			go func() { _, _ = io.Copy(io.Discard, logs) }()
			return p
		}
	}
	t.Fatalf("%s did not start", name)
	return nil
}

// end sends SIGTERM and wants exit code 0.
func (p *process) end(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("%s after SIGTERM: %v", p.role, err)
	}
}

// kill is kill -9.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait() // It says "killed".
}

// TestShop runs the whole shop as processes, breaks it while customers are
// buying, and counts.
func TestShop(t *testing.T) {
	folder := t.TempDir()
	queue := start(t, "queue", "SHOP_QUEUE_DIR="+folder)
	queueURL := "SHOP_QUEUE_URL=nats://" + queue.addr
	catalog := start(t, "catalog")
	cart := start(t, "cart")
	backends := []string{"SHOP_CATALOG_ADDR=" + catalog.addr, "SHOP_CART_URL=http://" + cart.addr}
	checkout := start(t, "checkout", append(backends, queueURL)...)
	// Slow enough that a worker always has orders in hand.
	slow := []string{queueURL, "SHOP_WORK_TIME=200ms", "SHOP_ACK_WAIT=1s", "SHOP_WORKER_CONCURRENCY=2"}
	worker := start(t, "worker", slow...)
	web := start(t, "web", append(backends, "SHOP_CHECKOUT_URL=http://"+checkout.addr)...)
	for _, p := range []*process{queue, catalog, cart, checkout, worker, web} {
		eventually(t, p.role+" ready", func() bool { return ready(t, p.admin).Ready })
	}
	load := start(t, "load", "SHOP_WEB_URL=http://"+web.addr, "SHOP_LOAD_RPS=120")
	eventually(t, "orders processed", func() bool { return metric(t, worker.admin, "shop_orders_processed_total") > 2 })

	worker.kill(t)
	t.Log("worker killed with orders in hand")
	queue.kill(t)
	t.Log("queue killed; its folder stays")
	eventually(t, "checkout notices", func() bool { return !ready(t, checkout.admin).Ready })
	queue = start(t, "queue", "SHOP_QUEUE_DIR="+folder, "SHOP_ADDR="+queue.addr)
	worker = start(t, "worker", queueURL, "SHOP_WORK_TIME=1ms", "SHOP_ACK_WAIT=1s")
	accepted := metric(t, checkout.admin, "shop_orders_accepted_total")
	eventually(t, "orders accepted again", func() bool { return metric(t, checkout.admin, "shop_orders_accepted_total") > accepted+5 })

	load.end(t)
	accepted = metric(t, checkout.admin, "shop_orders_accepted_total")
	web.end(t)
	checkout.end(t)
	eventually(t, "queue empty", func() bool { return metric(t, queue.admin, `shop_queue_messages{stream="ORDERS"}`) == 0 })
	// The ledger has one entry for each order that was fulfilled. An order whose
	// answer got lost when the queue was killed is in the ledger and was not
	// counted by the checkout.
	ledger := metric(t, queue.admin, `shop_queue_messages{stream="LEDGER"}`)
	claims := metric(t, queue.admin, `shop_queue_messages{stream="CLAIMS"}`)
	t.Logf("accepted %g, claimed %g, fulfilled %g", accepted, claims, ledger)
	if accepted == 0 || ledger < accepted || ledger > claims {
		t.Errorf("accepted %g, fulfilled %g, claimed %g: want them in this order", accepted, ledger, claims)
	}
	for _, p := range []*process{worker, cart, catalog, queue} {
		p.end(t)
	}
}

// TestNoAcknowledgedOrderIsLost ends the shop in the usual way while orders are
// coming in, starts a new worker later, and finds every order that a customer
// was told about.
func TestNoAcknowledgedOrderIsLost(t *testing.T) {
	folder := t.TempDir()
	queue := start(t, "queue", "SHOP_QUEUE_DIR="+folder)
	queueURL := "SHOP_QUEUE_URL=nats://" + queue.addr
	catalog, cart := start(t, "catalog"), start(t, "cart")
	checkout := start(t, "checkout", queueURL, "SHOP_CATALOG_ADDR="+catalog.addr, "SHOP_CART_URL=http://"+cart.addr)
	worker := start(t, "worker", queueURL, "SHOP_WORK_TIME=50ms", "SHOP_ACK_WAIT=1s")
	eventually(t, "checkout ready", func() bool { return ready(t, checkout.admin).Ready })

	const buyers = 4
	told := make(chan string, 1000) // The answer to each order; empty when a customer gives up.
	for buyer := range buyers {
		go func() {
			for n := 0; ; n++ {
				user := fmt.Sprintf("u%d-%d", buyer, n)
				status, _ := post(cart.addr, "/carts/"+user+"/items", `{"sku":"matcha","quantity":1}`)
				if status != http.StatusOK {
					break
				}
				status, body := post(checkout.addr, "/checkout/"+user, "")
				if status != http.StatusAccepted {
					break
				}
				told <- body
			}
			told <- ""
		}()
	}
	bought := 0
	for ; bought < 20; bought++ {
		if body := <-told; body == "" {
			t.Fatal("a customer was refused before the end")
		}
	}
	checkout.end(t)
	worker.end(t)
	for refused := 0; refused < buyers; {
		if <-told == "" {
			refused++
		} else {
			bought++
		}
	}
	queue.end(t)
	queue = start(t, "queue", "SHOP_QUEUE_DIR="+folder)
	worker = start(t, "worker", "SHOP_QUEUE_URL=nats://"+queue.addr, "SHOP_WORK_TIME=0s", "SHOP_ACK_WAIT=1s")
	eventually(t, "queue empty", func() bool {
		return ready(t, worker.admin).Ready && metric(t, queue.admin, `shop_queue_messages{stream="ORDERS"}`) == 0
	})
	if ledger := metric(t, queue.admin, `shop_queue_messages{stream="LEDGER"}`); int(ledger) != bought {
		t.Errorf("customers were told of %d orders, %g were fulfilled", bought, ledger)
	}
}

func post(addr, path, body string) (status int, answer string) {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://"+addr+path, strings.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	request.Header.Set("Idempotency-Key", path)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(data)
}

type readiness struct {
	Ready  bool
	Checks map[string]string
}

func ready(t *testing.T, admin string) readiness {
	t.Helper()
	var state readiness
	if err := json.Unmarshal([]byte(get(t, admin, "/readyz")), &state); err != nil {
		t.Fatal(err)
	}
	return state
}

// metric reads one value; one that is not there yet is 0.
func metric(t *testing.T, admin, series string) float64 {
	t.Helper()
	for line := range strings.Lines(get(t, admin, "/metrics")) {
		if text, ok := strings.CutPrefix(line, series+" "); ok {
			value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				t.Fatal(err)
			}
			return value
		}
	}
	return 0
}

func get(t *testing.T, addr, path string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}
