package program

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/pflag"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/proxy/config"
)

// flags are what the user typed.
type flags struct {
	simple config.Simple

	config      string
	control     string
	controlCA   string
	controlCert string
	controlKey  string
	controlName string

	admin        string
	handover     string
	loops        int
	portable     bool
	accessLog    string
	logFormat    string
	drainTimeout time.Duration
	version      bool
	drain        bool
	check        bool
}

const usage = `tatami-proxy carries requests to backends: HTTP/1.1, HTTP/2, gRPC, WebSocket, TCP and TLS.

For one backend, flags are enough:

  tatami-proxy --listen 127.0.0.1:8080 --backend 127.0.0.1:9000

For routes, a file (reloaded when it changes, and on SIGHUP) or a control plane:

  tatami-proxy --config proxy.yaml --admin 127.0.0.1:15000
  tatami-proxy --control unix:/run/tatami/control.sock

Flags:
`

func parse(args []string, out io.Writer) (*flags, error) {
	f := &flags{}
	set := pflag.NewFlagSet("tatami-proxy", pflag.ContinueOnError)
	set.SortFlags = false
	set.SetOutput(out)
	set.Usage = func() {
		fmt.Fprint(out, usage)
		fmt.Fprint(out, set.FlagUsagesWrapped(100))
	}
	set.StringVar(&f.simple.Listen, "listen", "", "accept at this `address`: host:port or unix:/path")
	set.StringArrayVar(&f.simple.Backends, "backend", nil, "send requests to this `address`; several answer for each other")
	set.StringVar(&f.simple.TLSCert, "tls-cert", "", "terminate TLS with the certificate chain in this PEM `file`")
	set.StringVar(&f.simple.TLSKey, "tls-key", "", "the key of the certificate, a PEM `file`")
	set.StringVar(&f.simple.TLSClientCA, "tls-client-ca", "", "require client certificates of the authorities in this PEM `file`")
	set.BoolVar(&f.simple.H2C, "h2c", false, "speak HTTP/2 in plain text with the backends (gRPC)")
	set.BoolVar(&f.simple.TCP, "tcp", false, "pass bytes and look at nothing")
	set.StringVar(&f.config, "config", "", "serve what this YAML or JSON `file` or folder says")
	set.StringVar(&f.control, "control", "", "serve what the control plane at this `address` says: host:port or unix:/path")
	set.StringVar(&f.controlCA, "control-ca", "", "authorities of the control plane, a PEM `file`")
	set.StringVar(&f.controlCert, "control-cert", "", "certificate that the control plane is shown, a PEM `file`")
	set.StringVar(&f.controlKey, "control-key", "", "its key, a PEM `file`")
	set.StringVar(&f.controlName, "control-name", "", "`name` in the control plane's certificate, if not its host")
	set.StringVar(&f.admin, "admin", "", "serve metrics, health and drain at this `address`: 127.0.0.1:port or unix:/path")
	set.StringVar(&f.handover, "handover", "", "take over from the proxy that listens at this Unix socket `path`, then wait there for a successor")
	set.StringVar(&f.simple.Name, "name", "", "`name` of this proxy")
	set.StringVar(&f.simple.Service, "service", "", "`service` that this proxy stands for, a label of metrics")
	set.StringVar(&f.simple.Zone, "zone", "", "availability `zone` of this proxy")
	set.IntVar(&f.loops, "loops", 0, "`number` of event loops (0: one per core)")
	set.BoolVar(&f.portable, "portable", false, "use goroutines for input and output instead of epoll")
	set.StringVar(&f.accessLog, "access-log", "errors", "log requests: off, errors or all")
	set.StringVar(&f.logFormat, "log-format", "json", "form of the log: json or text")
	set.DurationVar(&f.drainTimeout, "drain-timeout", 30*time.Second, "on SIGTERM, `time` for connections to end")
	set.BoolVar(&f.drain, "drain", false, "ask the proxy at --admin to drain, as a preStop hook does, and end")
	set.BoolVar(&f.check, "check", false, "say whether the configuration is good, and end")
	set.BoolVar(&f.version, "version", false, "print the version, and end")
	if err := set.Parse(args); err != nil {
		return nil, err
	}
	if set.NArg() > 0 {
		return nil, fmt.Errorf("%q is no flag; see tatami-proxy --help", set.Arg(0))
	}
	return f, f.validate()
}

func (f *flags) validate() error {
	if f.version {
		return nil
	}
	if f.drain {
		if f.admin == "" {
			return errors.New("give --admin: the address at which the proxy that is to drain has its admin endpoint")
		}
		return nil
	}
	if err := f.oneSource(); err != nil {
		return err
	}
	switch {
	case f.loops < 0 || f.loops > 1024:
		return fmt.Errorf("--loops %d: give a number from 0 to 1024", f.loops)
	case (f.controlCert == "") != (f.controlKey == ""):
		return errors.New("a certificate needs its key; give both --control-cert and --control-key")
	case f.check && f.control != "":
		return errors.New("--check looks at flags and files; a control plane checks its own")
	}
	_, err := f.logging()
	return err
}

// oneSource holds that the configuration comes from one place.
func (f *flags) oneSource() error {
	sources := 0
	for _, given := range []bool{f.simple.Listen != "" || len(f.simple.Backends) > 0, f.config != "", f.control != ""} {
		if given {
			sources++
		}
	}
	switch sources {
	case 0:
		return errors.New("there is nothing to serve; give --listen and --backend, or --config, or --control")
	case 1:
		return nil
	default:
		return errors.New("--listen with --backend, --config and --control exclude each other; give one of them")
	}
}

// logging is what the flags say of the access log.
func (f *flags) logging() (connect.AccessLog, error) {
	var a connect.AccessLog
	switch f.accessLog {
	case "off":
		a.Mode = connect.LogOff
	case "errors":
		a.Mode = connect.LogErrors
	case "all":
		a.Mode = connect.LogAll
	default:
		return a, fmt.Errorf("--access-log %s: give off, errors or all", f.accessLog)
	}
	switch f.logFormat {
	case "json":
		a.Format = connect.LogJSON
	case "text":
		a.Format = connect.LogText
	default:
		return a, fmt.Errorf("--log-format %s: give json or text", f.logFormat)
	}
	return a, nil
}
