package controlplane

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	logsapi "k8s.io/component-base/logs/api/v1"

	"github.com/tatami-platform/tatami/cluster/internal/instance"
	"github.com/tatami-platform/tatami/cluster/internal/pki"
)

//go:embed audit-policy.yaml
var auditPolicy []byte

// Plane is a running control plane.
type Plane struct {
	// Failed yields the error of the first component that ended by itself.
	Failed <-chan error
	stop   func()
}

// Stop ends the components, the store last, and waits for it.
func (p *Plane) Stop() { p.stop() }

// Start runs the control plane and returns when the API server is ready.
// internalURL is where the listener can be reached from this process. The
// context bounds the start only; Stop ends what was started.
func Start(ctx context.Context, c instance.Config, l net.Listener, internalURL string) (*Plane, error) {
	// Each component applies its logging configuration; they are all the same.
	logsapi.ReapplyHandling = logsapi.ReapplyHandlingIgnoreUnchanged
	policy := c.Path("audit", "policy.yaml")
	if err := instance.WriteFile(policy, auditPolicy); err != nil {
		return nil, err
	}
	store, err := startEtcd(ctx, c)
	if err != nil {
		return nil, err
	}
	// The API server outlives the other components, and the store outlives it:
	// what they write while they end must not be lost.
	apiCtx, stopAPI := context.WithCancel(context.WithoutCancel(ctx))
	restCtx, stopRest := context.WithCancel(context.WithoutCancel(ctx))
	failed := make(chan error, 4)
	apiDone := make(chan struct{})
	p := &Plane{Failed: failed, stop: func() {
		stopRest()
		stopAPI()
		select {
		case <-apiDone:
		case <-time.After(stopPatience):
		}
		closeStore(store)
	}}
	go func() {
		defer close(apiDone)
		failed <- ended("API server", runAPIServer(apiCtx, c, l, policy))
	}()
	go func() { failed <- ended("store", <-store.Err()) }()
	if err := waitReady(ctx, c, internalURL, failed); err != nil {
		p.Stop()
		return nil, err
	}
	go func() { failed <- ended("controller manager", runControllerManager(restCtx, c)) }()
	go func() { failed <- ended("scheduler", runScheduler(restCtx, c)) }()
	return p, nil
}

// storePatience is how long the store may wait for open streams, which it does
// for five seconds. Leaving it then is no worse than a kill, which it survives.
const storePatience = 500 * time.Millisecond

func closeStore(store *embed.Etcd) {
	closed := make(chan struct{})
	go func() {
		store.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(storePatience):
	}
}

// stopPatience is short: what is still open then are watches of components that
// end with this process, and a write that was acknowledged is in the store.
const stopPatience = time.Second

func ended(component string, err error) error {
	if err == nil {
		err = errors.New("ended without an error")
	}
	return fmt.Errorf("%s: %w", component, err)
}

// waitReady asks /readyz, which also waits for the first objects that the API
// server makes itself (namespaces, roles, priority levels).
func waitReady(ctx context.Context, c instance.Config, internalURL string, failed <-chan error) error {
	client, err := readyClient(c)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-failed:
			return err
		case <-ctx.Done():
			return fmt.Errorf("the API server was not ready in time: %w", ctx.Err())
		case <-tick.C:
		}
		if ready(ctx, client, internalURL+"/readyz") {
			return nil
		}
	}
}

func readyClient(c instance.Config) (*http.Client, error) {
	ca, err := os.ReadFile(pki.File(c, "ca.crt"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	return &http.Client{
		Timeout:   2 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}},
	}, nil
}

func ready(ctx context.Context, client *http.Client, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	res, err := client.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	return res.StatusCode == http.StatusOK
}
