package controlplane

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/server/v3/embed"

	"github.com/tatami-platform/tatami/cluster/internal/instance"
	"github.com/tatami-platform/tatami/internal/control"
)

// Ticks far below etcd's defaults: the only peer is in this process, so an
// election needs no network round trip, and a start takes 0.1 s instead of 0.6.
const (
	etcdTickMs     = 10
	etcdElectionMs = 100
)

const etcdReadyTimeout = 60 * time.Second

// etcdSocket is the store's only door. It has no port: whoever can open the
// socket could read the files as well.
func etcdSocket(c instance.Config) string { return c.Path("etcd", "etcd.sock") }

// startEtcd returns when the store answers.
func startEtcd(ctx context.Context, c instance.Config) (*embed.Etcd, error) {
	cfg, err := etcdConfig(c)
	if err != nil {
		return nil, err
	}
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, &control.Problem{
			What: "the store does not start",
			Why:  err,
			Next: "see " + c.Path("log") + "; if its files are damaged, start anew with `tatami down --purge`",
		}
	}
	select {
	case <-e.Server.ReadyNotify():
		return e, nil
	case err = <-e.Err():
	case <-time.After(etcdReadyTimeout):
		err = fmt.Errorf("not ready after %s", etcdReadyTimeout)
	case <-ctx.Done():
		err = ctx.Err()
	}
	e.Close()
	return nil, fmt.Errorf("start the store: %w", err)
}

func etcdConfig(c instance.Config) (*embed.Config, error) {
	if err := os.MkdirAll(c.Path("etcd"), 0o700); err != nil {
		return nil, err
	}
	// A socket that outlived its process would fail the listen.
	for _, s := range []string{etcdSocket(c), peerSocket(c)} {
		if err := os.RemoveAll(s); err != nil {
			return nil, err
		}
	}
	cfg := embed.NewConfig()
	cfg.Name = "tatami"
	cfg.Dir = c.Path("etcd", "data")
	cfg.ListenClientUrls = []url.URL{{Scheme: "unix", Path: etcdSocket(c)}}
	cfg.AdvertiseClientUrls = cfg.ListenClientUrls
	cfg.ListenPeerUrls = []url.URL{{Scheme: "unix", Path: peerSocket(c)}}
	cfg.AdvertisePeerUrls = []url.URL{{Scheme: "http", Host: "localhost:2380"}}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.TickMs, cfg.ElectionMs = etcdTickMs, etcdElectionMs
	cfg.UnsafeNoFsync = !c.Durable
	cfg.SnapshotCount = 5000
	cfg.MaxSnapFiles, cfg.MaxWalFiles = 2, 2
	cfg.LogLevel = "warn"
	cfg.LogOutputs = []string{filepath.Join(c.Path("log"), "etcd.log")}
	cfg.EnableGRPCGateway = false
	return cfg, nil
}

func peerSocket(c instance.Config) string { return c.Path("etcd", "peer.sock") }
