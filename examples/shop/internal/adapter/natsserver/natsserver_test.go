package natsserver_test

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tatami-platform/tatami/examples/shop/internal/adapter/natsserver"
)

const maxBytes = 160 << 20

func TestStartAndStop(t *testing.T) {
	folder := t.TempDir()
	server, err := natsserver.Start("127.0.0.1:0", folder, maxBytes, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve() }()
	if err := server.Ready(t.Context()); err != nil {
		t.Errorf("ready: %v", err)
	}
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Addr().String())
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	_ = conn.Close()
	server.Stop()
	if err := <-served; err != nil {
		t.Errorf("served: %v", err)
	}
	if _, err := os.Stat(filepath.Join(folder, "jetstream")); err != nil {
		t.Errorf("nothing stored: %v", err)
	}
	if err := server.Ready(t.Context()); err == nil {
		t.Error("ready after the end")
	}
}

func TestCannotStart(t *testing.T) {
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, address, folder string
		want                  string
	}{
		{"port taken", taken.Addr().String(), t.TempDir(), "address already in use"},
		{"folder is a file", "127.0.0.1:0", file, "storage directory"},
		{"no address", "nonsense", t.TempDir(), "queue address"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := natsserver.Start(tt.address, tt.folder, maxBytes, slog.New(slog.DiscardHandler))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}
