package restart

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tatami-platform/tatami/conformance/proxy/chaos/lab"
	"github.com/tatami-platform/tatami/conformance/proxy/rig"
	"github.com/tatami-platform/tatami/internal/proxy/config"
	pb "github.com/tatami-platform/tatami/internal/proxy/config/configpb"
	"github.com/tatami-platform/tatami/internal/proxy/config/configtest"
	"github.com/tatami-platform/tatami/internal/proxy/config/wire"
)

// resources are those that a text describes.
func resources(tb testing.TB, text string) *pb.Resources {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "control.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	r, err := load(path)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func load(path string) (*pb.Resources, error) {
	c, err := config.Load(path)
	if err != nil {
		return nil, err
	}
	r := wire.Encode(c)
	r.Node = nil
	return r, nil
}

// controlled is a proxy with a control plane.
type controlled struct {
	*site
	t      *testing.T
	proxy  *rig.Proxy
	server *configtest.Server
}

func newControlled(t *testing.T, kind rig.Kind) *controlled {
	t.Helper()
	c := &controlled{site: newSite(t), t: t}
	var err error
	c.server, err = configtest.Listen("unix", filepath.Join(lab.ShortDir(t), "c"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.server.Close)
	c.server.Set(resources(t, c.config(0)))
	c.proxy = program.Start(t, rig.Options{Kind: kind, Args: []string{"--control", c.server.Target()}})
	return c
}

func (c *controlled) front() front {
	addr := fixed(c.proxy.Addr("web"))
	return front{http: addr, grpc: addr}
}

// acknowledged waits for the proxy to take a version.
func (c *controlled) acknowledged(version string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), lab.Patience)
	defer cancel()
	if _, err := c.server.WaitAck(ctx, version); err != nil {
		c.t.Fatal(err, c.server.Answers())
	}
}

func TestHundredUpdates(t *testing.T) {
	updates := 50 // each with a removal, which is an update of its own
	if testing.Short() {
		updates = 5
	}
	rig.Both(t, func(t *testing.T, kind rig.Kind) {
		t.Helper()
		c := newControlled(t, kind)
		load := begin(t, c.bodies, c.front())
		for n := range updates {
			c.acknowledged(c.server.Set(resources(t, c.config(n+1))))
			c.acknowledged(c.server.Delete(pb.ResourceName_ROUTE, fmt.Sprintf("generation-%d", n)))
			if n%10 == 9 {
				c.server.Drop()
			}
		}
		load.end()
		for _, a := range c.server.Answers() {
			if len(a.Reasons) > 0 {
				t.Errorf("version %s was refused: %q", a.Version, a.Reasons)
			}
		}
	})
}

func TestBadUpdateIsRefusedWhole(t *testing.T) {
	c := newControlled(t, rig.Epoll)
	load := begin(t, c.bodies, c.front())
	c.acknowledged(c.server.Set(resources(t, c.config(1))))
	ctx, cancel := context.WithTimeout(t.Context(), lab.Patience)
	defer cancel()
	good := c.proxy.Get("/config")
	refused := func(version, reason string) {
		t.Helper()
		a, err := c.server.WaitNack(ctx, version)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.Join(a.Reasons, "\n"), reason) {
			t.Errorf("refused because of %q, without %q", a.Reasons, reason)
		}
		if now := c.proxy.Get("/config"); now != good {
			t.Errorf("the configuration changed to %s", now)
		}
	}
	// Put right again, it is taken, whatever was refused before.
	grpc := resources(t, c.config(1))
	refused(c.server.Delete(pb.ResourceName_CLUSTER, "grpc"), "grpc")
	c.acknowledged(c.server.Set(grpc))
	good = c.proxy.Get("/config")
	refused(c.server.Set(&pb.Cluster{Name: "odd", Endpoints: []*pb.Endpoint{{Address: "nowhere"}}}), "nowhere")
	c.acknowledged(c.server.Delete(pb.ResourceName_CLUSTER, "odd"))
	good = c.proxy.Get("/config")
	refused(c.server.Set(&pb.Listener{Name: "more", Address: "192.0.2.1:80"}), "192.0.2.1")
	c.acknowledged(c.server.Delete(pb.ResourceName_LISTENER, "more"))
	c.acknowledged(c.server.Set(resources(t, c.config(2))))
	load.end()
}

// controlEnv makes the test program a control plane: "SOCKET FILE".
const controlEnv = "TATAMI_CONFORMANCE_CONTROL"

// controlPlane serves as one if it is asked to, until it is killed.
func controlPlane() bool {
	socket, file, ok := strings.Cut(os.Getenv(controlEnv), " ")
	if !ok {
		return false
	}
	r, err := load(file)
	if err == nil {
		var s *configtest.Server
		_ = os.Remove(socket)
		if s, err = configtest.Listen("unix", socket, nil); err == nil {
			s.Set(r)
			fmt.Println("serves")
			// Whoever started it goes, and it goes too.
			_, err = bufio.NewReader(os.Stdin).ReadByte()
			s.Close()
		}
	}
	fmt.Fprintln(os.Stderr, err)
	return true
}

// startControl starts a control plane as a process of its own.
func startControl(t *testing.T, socket, text string) *exec.Cmd {
	t.Helper()
	file := filepath.Join(t.TempDir(), "control.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), os.Args[0])
	cmd.Env = append(os.Environ(), controlEnv+"="+socket+" "+file)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("the control plane did not start: %v", err)
	}
	return cmd
}

func TestControlPlaneKilled(t *testing.T) {
	s := newSite(t)
	socket := filepath.Join(lab.ShortDir(t), "c")
	first := startControl(t, socket, s.config(1))
	p := program.Start(t, rig.Options{Args: []string{"--control", "unix:" + socket}})
	addr := fixed(p.Addr("web"))
	load := begin(t, s.bodies, front{http: addr, grpc: addr})
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	time.Sleep(time.Second)
	if !strings.Contains(p.Get("/config"), "generation-1") {
		t.Error("the configuration was lost with the control plane")
	}
	if ready := p.Get("/ready"); ready == "" {
		t.Error("it is not ready without a control plane")
	}
	startControl(t, socket, s.config(2))
	lab.Until(t, "the new control plane's configuration is in force", func() bool {
		return strings.Contains(p.Get("/config"), "generation-2")
	})
	load.end()
}
