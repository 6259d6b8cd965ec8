package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// The ports of a serving probe. The TCP port is closed while the probe is
// unhealthy.
const (
	defaultHTTPPort = "8080"
	udpPort         = ":8081"
	tcpPort         = ":8082"
	grpcPort        = ":9090"
)

// server is a probe that serves until SIGTERM.
type server struct {
	started time.Time
	// delay is how long it takes to become healthy (START_DELAY).
	delay time.Duration

	mu       sync.Mutex
	failing  bool
	tcp      net.Listener
	health   *health.Server
	recorded []string
}

// serve reads PORT, START_DELAY (seconds to become healthy), ON_TERM ("ignore",
// or seconds to linger) and NOTIFY (the beginning of a URL to fetch on
// SIGTERM).
// ONLY_HTTP leaves the other ports alone, e.g. in the node's network.
func serve([]string) error {
	s := &server{started: time.Now(), health: health.NewServer()}
	if text := os.Getenv("START_DELAY"); text != "" {
		seconds, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return err
		}
		s.delay = time.Duration(seconds * float64(time.Second))
	}
	failed := make(chan error, 2)
	port := defaultHTTPPort
	if p := os.Getenv("PORT"); p != "" {
		port = p
	}
	web := &http.Server{Addr: ":" + port, Handler: s.routes(), ReadHeaderTimeout: clientTimeout}
	go func() { failed <- web.ListenAndServe() }()
	if os.Getenv("ONLY_HTTP") == "" {
		if err := s.serveOthers(failed); err != nil {
			return err
		}
	}
	fmt.Println("serving")
	signals := terminated()
	for {
		select {
		case err := <-failed:
			return err
		case <-signals:
			fmt.Println("SIGTERM")
			notify(os.Getenv("NOTIFY"), "SIGTERM "+hostname())
			if linger(os.Getenv("ON_TERM")) {
				return nil
			}
		}
	}
}

func (s *server) serveOthers(failed chan<- error) error {
	if err := s.setFailing(false); err != nil {
		return err
	}
	packets, err := net.ListenPacket("udp", udpPort) //nolint:noctx // as long as the program
	if err != nil {
		return err
	}
	go echoUDP(packets)
	l, err := net.Listen("tcp", grpcPort) //nolint:noctx,gosec // as long as the program, for the whole pod
	if err != nil {
		return err
	}
	rpc := grpc.NewServer()
	healthpb.RegisterHealthServer(rpc, s.health)
	go func() { failed <- rpc.Serve(l) }()
	return nil
}

// linger says whether to end now.
func linger(onTerm string) bool {
	if onTerm == "ignore" {
		return false
	}
	if seconds, err := strconv.ParseFloat(onTerm, 64); err == nil {
		time.Sleep(time.Duration(seconds * float64(time.Second)))
	}
	fmt.Println("ending")
	return true
}

func terminated() <-chan os.Signal {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGTERM)
	return c
}

// echoUDP answers each datagram with the host's name and the datagram.
func echoUDP(c net.PacketConn) {
	buf := make([]byte, 1500)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		_, _ = c.WriteTo([]byte(hostname()+" "+string(buf[:n])), from)
	}
}

func hostname() string {
	name, _ := os.Hostname()
	return name
}

// healthy is what all four kinds of probe see.
func (s *server) healthy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.failing && time.Since(s.started) >= s.delay
}

// setFailing turns all four kinds of health on or off.
func (s *server) setFailing(failing bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing = failing
	if failing {
		s.health.SetServingStatus("", healthpb.HealthCheckResponse_NOT_SERVING)
		if s.tcp == nil {
			return nil
		}
		err := s.tcp.Close()
		s.tcp = nil
		return err
	}
	s.health.SetServingStatus("", healthpb.HealthCheckResponse_SERVING)
	if s.tcp != nil {
		return nil
	}
	l, err := net.Listen("tcp", tcpPort) //nolint:noctx,gosec // until told otherwise, for the whole pod
	if err != nil {
		return err
	}
	s.tcp = l
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	return nil
}

func (s *server) record(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recorded = append(s.recorded, text)
}

func (s *server) records() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.recorded, "\n")
}

var errUnhealthy = errors.New("unhealthy")
