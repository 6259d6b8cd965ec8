package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// requestTimeout is short, so that a question asked too early is soon repeated.
const requestTimeout = 2 * time.Second

// watcher asks a cluster that is starting. Its certificates are those that the
// kubeconfig has inside; as files they are there earlier.
type watcher struct {
	dataDir, api string

	mu     sync.Mutex
	client *http.Client
}

func (w *watcher) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.client != nil {
		w.client.CloseIdleConnections()
	}
}

// trusted is nil as long as there are no certificates.
func (w *watcher) trusted() (*http.Client, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.client != nil {
		return w.client, nil
	}
	dir := filepath.Join(w.dataDir, "pki")
	pem, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("no certificate in ca.crt")
	}
	admin, err := tls.LoadX509KeyPair(filepath.Join(dir, "admin.crt"), filepath.Join(dir, "admin.key"))
	if err != nil {
		return nil, err
	}
	w.client = &http.Client{
		Timeout: requestTimeout,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{
			RootCAs: pool, Certificates: []tls.Certificate{admin}, MinVersion: tls.VersionTLS12,
		}},
	}
	return w.client, nil
}

// get asks the API server.
func (w *watcher) get(ctx context.Context, path string) ([]byte, error) {
	client, err := w.trusted()
	if err != nil {
		return nil, err
	}
	return fetch(ctx, client, w.api+path)
}

func fetch(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	answer, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, answer.Status)
	}
	return body, err
}

func apiReady(ctx context.Context, w *watcher) bool {
	_, err := w.get(ctx, "/readyz")
	return err == nil
}

// nodeReady takes reports of this run only: the store has those of the last.
func nodeReady(ctx context.Context, w *watcher) bool {
	body, err := w.get(ctx, "/api/v1/nodes")
	if err != nil {
		return false
	}
	state, err := w.state()
	return err == nil && anyReady(body, state.Started)
}

func anyReady(list []byte, since time.Time) bool {
	var nodes struct {
		Items []struct {
			Status struct {
				Conditions []struct {
					Type, Status      string
					LastHeartbeatTime time.Time
				}
			}
		}
	}
	if json.Unmarshal(list, &nodes) != nil {
		return false
	}
	for _, n := range nodes.Items {
		for _, c := range n.Status.Conditions {
			// Heartbeats are in whole seconds.
			if c.Type == "Ready" && c.Status == "True" && !c.LastHeartbeatTime.Before(since.Truncate(time.Second)) {
				return true
			}
		}
	}
	return false
}

// state is what the server writes about itself.
type state struct {
	Started time.Time
	URLs    map[string]string
}

func (w *watcher) state() (state, error) {
	var s state
	raw, err := os.ReadFile(filepath.Join(w.dataDir, "state.json"))
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(raw, &s)
}

// shopServing asks where people would: at the published address of the host.
func shopServing(ctx context.Context, w *watcher) bool {
	s, err := w.state()
	if err != nil || s.URLs["shop/web"] == "" {
		return false
	}
	client := &http.Client{Timeout: requestTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	_, err = fetch(ctx, client, s.URLs["shop/web"])
	return err == nil
}

// firstOrder asks the workers how many orders they have processed.
func firstOrder(ctx context.Context, w *watcher) bool {
	body, err := w.get(ctx, "/api/v1/namespaces/shop/services/http:worker:metrics/proxy/metrics")
	return err == nil && sumMetric(body, "shop_orders_processed_total") > 0
}

// sumMetric adds up the samples of a metric in Prometheus' text format.
func sumMetric(text []byte, name string) float64 {
	var sum float64
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		rest, found := strings.CutPrefix(lines.Text(), name)
		if !found || rest == "" || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		fields := strings.Fields(rest[strings.LastIndexByte(rest, '}')+1:])
		if len(fields) == 0 {
			continue
		}
		if v, err := strconv.ParseFloat(fields[0], 64); err == nil {
			sum += v
		}
	}
	return sum
}
