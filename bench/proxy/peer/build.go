package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Workshop finds and builds programs.
type Workshop struct {
	// Root is the folder of the repository, Cache that of built programs.
	Root, Cache string
	// Tatami is a built tatami-proxy; "" builds it.
	Tatami string
}

// module is one whose program is built.
type module struct {
	path, version string
	// sum is that of the module's files, as in go.sum; the go.sum among those
	// files pins all the rest.
	sum string
	// main is the folder of the program.
	main string
	// prepare changes the copy that is built.
	prepare func(ctx context.Context, dir string) error
}

func modules(name string) (module, bool) {
	switch name {
	case Caddy:
		return module{
			path: "github.com/caddyserver/caddy/v2", version: "v2.11.9",
			sum: "h1:bhZtcRKQOq0fuLvEgCdPYvUxXyGn9kzjG4lh2332DTE=", main: "./cmd/caddy",
		}, true
	case Traefik:
		return module{
			path: "github.com/traefik/traefik/v3", version: "v3.7.13",
			sum: "h1:T8wy9KuaFzCkmXCqAzDy7t73pBDR1DHrJe3pqXpNXTw=", main: "./cmd/traefik", prepare: prepareTraefik,
		}, true
	}
	return module{}, false
}

// Program finds a server, and builds it if need be; that takes minutes the
// first time.
func (w Workshop) Program(ctx context.Context, name string) (Program, error) {
	switch name {
	case Nginx, HAProxy:
		return installed(ctx, name, "-v")
	case Tatami:
		return w.tatami(ctx)
	}
	m, known := modules(name)
	if !known {
		return Program{}, fmt.Errorf("%s is not among the servers: %s, %s, %s, %s and %s", name, Tatami, Nginx, HAProxy, Traefik, Caddy)
	}
	p := Program{Name: name, Path: filepath.Join(w.Cache, name+"-"+m.version), Version: strings.TrimPrefix(m.version, "v")}
	if _, err := os.Stat(p.Path); err == nil {
		return p, nil
	}
	return p, m.build(ctx, p.Path)
}

// tatami is built each time, since it is what changes.
func (w Workshop) tatami(ctx context.Context) (Program, error) {
	p := Program{Name: Tatami, Path: w.Tatami, Version: "given"}
	if p.Path != "" {
		_, err := os.Stat(p.Path)
		return p, err
	}
	p.Path, p.Version = filepath.Join(w.Cache, "tatami-proxy"), "built"
	return p, build(ctx, w.Root, p.Path, "./cmd/tatami-proxy", tatamiFlags()...)
}

// tatamiFlags are those of the Makefile, which says why.
func tatamiFlags() []string { return []string{"-tags", "grpcnotrace"} }

// build makes a static program without symbols.
func build(ctx context.Context, dir, out, main string, flags ...string) error {
	if err := os.MkdirAll(filepath.Dir(out), 0o750); err != nil {
		return err
	}
	args := append([]string{"build", "-trimpath", "-ldflags", "-s -w", "-o", out}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, main)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-buildvcs=false")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", main, errors.Join(err, ctx.Err()), lastLines(text))
	}
	return nil
}

// lastLines are enough to see what failed.
func lastLines(text []byte) []byte {
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return bytes.Join(lines[max(0, len(lines)-5):], []byte("\n"))
}

// build copies the module, because it is built by its own go.mod and go.sum.
func (m module) build(ctx context.Context, out string) error {
	from, err := download(ctx, m.path, m.version, m.sum)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "peer")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	source := filepath.Join(dir, "source")
	if err := clone(from, source); err != nil {
		return err
	}
	if m.prepare != nil {
		if err := m.prepare(ctx, source); err != nil {
			return fmt.Errorf("preparing %s: %w", m.path, err)
		}
	}
	return build(ctx, source, out, m.main)
}

// download gets a module and holds that it is the one that was pinned. It
// returns the folder, which is read-only.
func download(ctx context.Context, path, version, sum string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", path+"@"+version)
	cmd.Dir = os.TempDir() // outside of any module
	out, err := cmd.Output()
	var got struct{ Dir, Sum, Error string }
	if wrong := json.Unmarshal(out, &got); wrong != nil || err != nil || got.Error != "" {
		return "", fmt.Errorf("go mod download %s@%s: %w %s", path, version, errors.Join(err, wrong, ctx.Err()), got.Error)
	}
	if got.Sum != sum {
		return "", fmt.Errorf("%s@%s has the checksum %s, and %s is pinned", path, version, got.Sum, sum)
	}
	return got.Dir, nil
}

// clone copies a folder of the module cache and makes it writable.
func clone(from, to string) error {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	root, err := os.OpenRoot(to)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // only modes are changed through it
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return root.Chmod(name, 0o700)
		}
		return root.Chmod(name, 0o600)
	})
}
