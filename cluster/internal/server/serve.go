package server

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"sync"
	"syscall"
	"time"

	"gopkg.in/natefinch/lumberjack.v2"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"github.com/tatami-platform/tatami/cluster/internal/box"
	"github.com/tatami-platform/tatami/cluster/internal/controlplane"
	"github.com/tatami-platform/tatami/cluster/internal/instance"
	"github.com/tatami-platform/tatami/cluster/internal/pki"
	"github.com/tatami-platform/tatami/internal/control"
)

const apiTimeout = 2 * time.Minute

// Main runs a server on a data folder and returns its exit code.
func Main(dataDir string) int {
	started := time.Now()
	debug.SetGCPercent(startGCPercent)
	c, err := readConfig(dataDir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		return 1
	}
	closeLog := logTo(c)
	defer closeLog()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	s := &server{config: c, state: instance.State{
		Config: c, Phase: control.StateStarting, PID: os.Getpid(), Started: started,
	}}
	if err := s.serve(ctx); err != nil {
		klog.ErrorS(err, "The cluster ended")
		s.update(func(st *instance.State) {
			st.Phase, st.Error = control.StateStopped, err.Error()
			st.NodeFailed = errors.Is(err, errNode)
		})
		return 1
	}
	s.update(func(st *instance.State) { st.Phase, st.Error = control.StateStopped, "" })
	return 0
}

// errNode marks what a cluster without a real node would not suffer from.
var errNode = errors.New("the real node can't run here")

// logTo sends Kubernetes' log to a file that can't grow without end.
func logTo(c instance.Config) func() {
	log := &lumberjack.Logger{Filename: c.Path("log", "cluster.log"), MaxSize: 20, MaxBackups: 1}
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	for name, value := range map[string]string{"logtostderr": "false", "one_output": "true", "stderrthreshold": "FATAL"} {
		_ = flags.Set(name, value)
	}
	klog.SetOutput(log)
	return func() {
		klog.Flush()
		_ = log.Close()
	}
}

type server struct {
	config instance.Config
	host   *box.Host
	resolv *box.HostResolvConf

	mu    sync.Mutex
	state instance.State
}

func (s *server) update(change func(*instance.State)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.state)
	if err := instance.WriteState(s.state); err != nil {
		klog.ErrorS(err, "Could not write the state")
	}
}

func (s *server) step(name string) { s.update(func(st *instance.State) { st.Step = name }) }

// serve brings everything up, waits for the end, and takes everything down in
// the opposite order.
func (s *server) serve(ctx context.Context) error {
	c := s.config
	s.step("preparing")
	outer, err := inheritedListener()
	if err != nil {
		return err
	}
	listener, internalURL := outer, "https://"+outer.Addr().String()
	s.host = box.NewHost(nil)
	if c.RealNode {
		if listener, internalURL, err = s.enterBox(ctx, outer); err != nil {
			return err
		}
	}
	if err := pki.Ensure(c, internalURL, time.Now()); err != nil {
		return err
	}
	s.step("starting the control plane")
	apiCtx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	plane, err := controlplane.Start(apiCtx, c, listener, internalURL)
	if err != nil {
		return err
	}
	defer plane.Stop()
	s.update(func(st *instance.State) {
		st.StartMillis = time.Since(st.Started).Milliseconds()
		st.URLs = map[string]string{"api": "https://" + outer.Addr().String()}
	})
	client, err := adminClient(c, internalURL)
	if err != nil {
		return err
	}
	parts, err := s.startParts(ctx, client)
	defer parts.stop()
	if err != nil {
		return err
	}
	s.update(func(st *instance.State) { st.Phase, st.Step = control.StateRunning, "" })
	go saveMemory(ctx)
	select {
	case <-ctx.Done():
	case err = <-plane.Failed:
	case err = <-parts.failed:
	}
	if ctx.Err() != nil {
		return nil // asked to end, which ends the components as well
	}
	return err
}

// enterBox makes the process a machine of its own, and lets the API server
// listen inside as well, where nodes and pods reach it.
func (s *server) enterBox(ctx context.Context, outer net.Listener) (net.Listener, string, error) {
	syscall.CloseOnExec(hostNetworkFD)
	ns := os.NewFile(hostNetworkFD, "host network")
	if ns == nil {
		return nil, "", fmt.Errorf("%w: the host's network was not handed over", errNode)
	}
	s.host = box.NewHost(ns)
	var err error
	if s.resolv, err = box.Enter(s.config); err != nil {
		return nil, "", fmt.Errorf("%w: %w", errNode, err)
	}
	go box.Reap(ctx)
	addr := net.JoinHostPort(instance.NodeIP.String(), strconv.Itoa(nodeAPIPort))
	var lc net.ListenConfig
	inner, err := lc.Listen(ctx, "tcp4", addr)
	if err != nil {
		return nil, "", fmt.Errorf("listen inside the node: %w", err)
	}
	return join(inner, outer), "https://" + addr, nil
}

// nodeAPIPort is where the API server listens inside the box.
const nodeAPIPort = 6443

func adminClient(c instance.Config, internalURL string) (*rest.Config, error) {
	kc, err := pki.EmbeddedKubeconfig(c, pki.Admin, internalURL)
	if err != nil {
		return nil, err
	}
	cfg, err := clientcmd.NewDefaultClientConfig(*kc, nil).ClientConfig()
	if err != nil {
		return nil, err
	}
	// In process and on loopback: the client's own throttle would only delay.
	cfg.QPS = -1
	return cfg, nil
}
