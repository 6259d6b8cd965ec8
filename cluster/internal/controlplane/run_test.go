package controlplane

import (
	"context"
	"net"
	"os"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/cluster/internal/instance"
	"github.com/tatami-platform/tatami/cluster/internal/pki"
)

// The context of Start has the deadline of a start. A control plane that ended
// with it would run for two minutes.
func TestPlaneOutlivesTheContextOfItsStart(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	dir, err := os.MkdirTemp("/tmp", "tt") //nolint:usetesting // sockets need a short path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := instance.Config{Name: "plane", DataDir: dir, Port: l.Addr().(*net.TCPAddr).Port}
	if err := os.MkdirAll(c.Path("log"), 0o700); err != nil {
		t.Fatal(err)
	}
	url := "https://" + l.Addr().String()
	if err := pki.Ensure(c, url, time.Now()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	plane, err := Start(ctx, c, l, url)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	defer plane.Stop()
	time.Sleep(time.Second) // the components begin
	cancel()
	select {
	case err := <-plane.Failed:
		t.Errorf("a component ended with the context of the start: %v", err)
	case <-time.After(3 * time.Second):
	}
	client, err := readyClient(c)
	if err != nil {
		t.Fatal(err)
	}
	if !ready(t.Context(), client, url+"/readyz") {
		t.Error("the API server is not ready any more")
	}
}
