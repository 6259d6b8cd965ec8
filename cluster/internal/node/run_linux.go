package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"gopkg.in/natefinch/lumberjack.v2"

	"github.com/tatami-platform/tatami/cluster/internal/instance"
)

// Start runs the node's programs; it returns when containerd answers and has
// the pause image, which is when kubelet can start pods.
func Start(ctx context.Context, c instance.Config, p Programs) (*Node, error) {
	if err := prepareFolders(c); err != nil {
		return nil, err
	}
	config, err := writeContainerdConfig(c, p)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	failed := make(chan error, 2)
	n := &Node{Failed: failed, stop: cancel, done: &sync.WaitGroup{}}
	log := &lumberjack.Logger{Filename: c.Path("log", "containerd.log"), MaxSize: 10, MaxBackups: 1}
	n.done.Go(func() {
		defer log.Close() //nolint:errcheck // the end of a log
		superviseContainerd(ctx, p, config, log)
	})
	images, err := waitContainerd(ctx, c)
	if err != nil {
		n.Stop()
		return nil, err
	}
	defer images.Close() //nolint:errcheck // a connection
	if err := images.EnsureProgram(ctx, c, "tatami-pause", PauseImage); err != nil {
		n.Stop()
		return nil, err
	}
	go func() { failed <- ended("kubelet", runKubelet(ctx, c)) }()
	go func() { failed <- ended("kube-proxy", runProxy(ctx, c, p)) }()
	return n, nil
}

func ended(part string, err error) error {
	if err == nil {
		err = errors.New("ended without an error")
	}
	return fmt.Errorf("%s: %w", part, err)
}

// prepareFolders makes the node's folders. A socket that outlived its process
// would look like a containerd that answers.
func prepareFolders(c instance.Config) error {
	for _, dir := range []string{"cni", "log/pods", "log/containers", "kubelet", "volume-plugins"} {
		if err := os.MkdirAll(c.Path("node", dir), 0o755); err != nil { //nolint:gosec // pods' users must pass through
			return err
		}
	}
	for _, socket := range []string{c.ContainerdSocket(), c.ContainerdSocket() + ".ttrpc"} {
		if err := os.RemoveAll(socket); err != nil {
			return err
		}
	}
	return nil
}
