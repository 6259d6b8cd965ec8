package peer

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"text/template"

	"github.com/tatami-platform/tatami/bench/proxy/configs"
)

// Mode is what a server does.
type Mode string

// The modes: plain HTTP/1.1; TLS in front with h2 and http/1.1; the same with
// client certificates; HTTP/2 without TLS on both sides; bytes; and HTTP/1.1 by
// hosts and paths to many services.
const (
	HTTP   Mode = "http"
	TLS    Mode = "tls"
	MTLS   Mode = "mtls"
	GRPC   Mode = "grpc"
	TCP    Mode = "tcp"
	Routes Mode = "routes"
)

// The names of the servers.
const (
	Tatami  = "tatami"
	Nginx   = "nginx"
	HAProxy = "haproxy"
	Traefik = "traefik"
	Caddy   = "caddy"
)

// Service is what hosts and paths lead to.
type Service struct {
	Name, Host string
	// Prefixes are paths, e.g. "/r1/"; Endpoints are "host:port".
	Prefixes, Endpoints []string
}

// Spec is what to serve. Addresses are "host:port", files absolute paths.
type Spec struct {
	Mode            Mode
	Listen, Backend string
	// Cert and Key are for TLS, PEM is both in one file, CA signed the clients.
	Cert, Key, PEM, CA string
	// Services are those of the mode Routes.
	Services []Service
	// Control is the address of a control plane that has them, for ours only;
	// "" puts them into a file.
	Control string
	// Threads is the number of cores.
	Threads int
}

// Program is a server that can be started.
type Program struct {
	Name string
	// Path is where the program is, Version what it says about itself.
	Path, Version string
}

// streamModule of nginx is a package of its own in Debian.
const streamModule = "/usr/lib/nginx/modules/ngx_stream_module.so"

// Refuses says why the program cannot do something, or "".
func (p Program) Refuses(m Mode) string {
	switch {
	case p.Name == Caddy && m == TCP:
		return "no TCP without a plug-in"
	case p.Name == Nginx && m == TCP:
		if _, err := os.Stat(streamModule); err != nil {
			return "its module for TCP is not installed: libnginx-mod-stream"
		}
	}
	return ""
}

// files are the configuration files of a program and their templates.
func (p Program) files(s Spec) map[string]string {
	switch p.Name {
	case Nginx:
		return map[string]string{"nginx.conf": "nginx.conf.tmpl"}
	case HAProxy:
		return map[string]string{"haproxy.cfg": "haproxy.cfg.tmpl", "routes.map": "routes.map.tmpl"}
	case Traefik:
		return map[string]string{"traefik.yaml": "traefik.yaml.tmpl", "dynamic.yaml": "dynamic.yaml.tmpl"}
	case Caddy:
		return map[string]string{"Caddyfile": "Caddyfile.tmpl"}
	case Tatami:
		if s.Mode == Routes && s.Control == "" {
			return map[string]string{"tatami.yaml": "tatami.yaml.tmpl"}
		}
	case backendName:
		return map[string]string{"nginx.conf": "backend.conf.tmpl"}
	}
	return nil
}

func (p Program) args(s Spec, dir string) []string {
	in := func(name string) string { return filepath.Join(dir, name) }
	switch p.Name {
	case Nginx, backendName:
		return []string{"-p", dir, "-e", "stderr", "-c", in("nginx.conf")}
	case HAProxy:
		return []string{"-db", "-f", in("haproxy.cfg")}
	case Traefik:
		return []string{"--configFile=" + in("traefik.yaml")}
	case Caddy:
		return []string{"run", "--config", in("Caddyfile"), "--adapter", "caddyfile"}
	}
	return tatamiArgs(s, dir)
}

func tatamiArgs(s Spec, dir string) []string {
	if s.Control != "" {
		return []string{"--control", s.Control}
	}
	if s.Mode == Routes {
		return []string{"--config", filepath.Join(dir, "tatami.yaml")}
	}
	args := []string{"--listen", s.Listen, "--backend", s.Backend}
	switch s.Mode {
	case TLS:
		return append(args, "--tls-cert", s.Cert, "--tls-key", s.Key)
	case MTLS:
		return append(args, "--tls-cert", s.Cert, "--tls-key", s.Key, "--tls-client-ca", s.CA)
	case GRPC:
		return append(args, "--h2c")
	case TCP:
		return append(args, "--tcp")
	default:
		return args
	}
}

// values are what templates see.
type values struct {
	Spec
	Dir, Module   string
	Address, Port string
	Root          bool
	// Addresses and Small are for the backend.
	Addresses []string
	Small     string
}

// render writes the configuration of a program into a folder.
func (p Program) render(dir string, v values) error {
	v.Dir, v.Module, v.Root = dir, streamModule, os.Geteuid() == 0
	for name, from := range p.files(v.Spec) {
		t, err := template.ParseFS(configs.Files, from)
		if err != nil {
			return err
		}
		var text bytes.Buffer
		if err := t.Execute(&text, v); err != nil {
			return err
		}
		if err := write(filepath.Join(dir, name), text.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// write replaces a file at once, so that nobody reads half of it.
func write(name string, text []byte) error {
	if err := os.WriteFile(name+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// installed finds a program of the system and asks for its version.
func installed(ctx context.Context, name string, ask string) (Program, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		// Folders of system programs are not in everybody's path.
		if path, err = exec.LookPath("/usr/sbin/" + name); err != nil {
			return Program{}, fmt.Errorf("%s is not installed: apt-get install %s", name, name)
		}
	}
	out, err := exec.CommandContext(ctx, path, ask).CombinedOutput()
	if err != nil {
		return Program{}, fmt.Errorf("%s %s: %w", path, ask, err)
	}
	version := regexp.MustCompile(`\d+\.\d+\.\d+`).Find(out)
	return Program{Name: name, Path: path, Version: string(version)}, nil
}

// environment of a server: Go programs take the number of threads from it.
func environment(dir string, threads int) []string {
	return append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(threads),
		"HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
}
