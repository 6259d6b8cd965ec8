package natsserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	maxMemory      = 16 << 20 // No stream of ours is kept in memory.
	maxPayload     = 64 << 10
	maxConnections = 200
	startTimeout   = 10 * time.Second
)

// Server is a running queue.
type Server struct {
	nats *server.Server
	log  *logger
}

// Start listens on host:port (port 0 takes a free one) and keeps its data in a
// folder, up to a number of bytes. It returns when clients can connect.
func Start(address, folder string, maxBytes int64, log *slog.Logger) (*Server, error) {
	host, port, err := split(address)
	if err != nil {
		return nil, err
	}
	nats, err := server.NewServer(&server.Options{
		ServerName: "shop-queue", Host: host, Port: port, NoSigs: true,
		JetStream: true, StoreDir: folder, JetStreamMaxStore: maxBytes, JetStreamMaxMemory: maxMemory,
		MaxPayload: maxPayload, MaxConn: maxConnections,
	})
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	s := &Server{nats: nats, log: newLogger(log)}
	nats.SetLoggerV2(s.log, false, false, false)
	go nats.Start()
	if err := s.await(); err != nil {
		nats.Shutdown()
		return nil, err
	}
	return s, nil
}

// split reads host:port; the server's word for "any port" is -1, its word for
// "any host" is not the empty string.
func split(address string) (string, int, error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("queue address: %w", err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return "", 0, fmt.Errorf("queue address %s: %w", address, err)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	if host == "" {
		host = "0.0.0.0"
	}
	return host, port, nil
}

func (s *Server) await() error {
	ready := make(chan bool, 1)
	go func() { ready <- s.nats.ReadyForConnections(startTimeout) }()
	select {
	case err := <-s.log.fatal:
		return fmt.Errorf("queue: %w", err)
	case ok := <-ready:
		if !ok {
			return fmt.Errorf("queue: not ready after %s", startTimeout)
		}
		if !s.nats.JetStreamEnabled() {
			return errors.New("queue: JetStream is off")
		}
		return nil
	}
}

// Addr is where clients connect.
func (s *Server) Addr() net.Addr { return s.nats.Addr() }

// Serve waits until Stop, or until the server has given up.
func (s *Server) Serve() error {
	stopped := make(chan struct{})
	go func() {
		s.nats.WaitForShutdown()
		close(stopped)
	}()
	select {
	case err := <-s.log.fatal:
		s.nats.Shutdown()
		return fmt.Errorf("queue: %w", err)
	case <-stopped:
		return nil
	}
}

// Stop closes connections and files. What was acknowledged is on the disk.
func (s *Server) Stop() {
	s.nats.Shutdown()
	s.nats.WaitForShutdown()
}

// Ready reports whether orders can be stored.
func (s *Server) Ready(context.Context) error {
	if status := s.nats.Healthz(nil); status.Error != "" {
		return errors.New(status.Error)
	}
	return nil
}

// Register adds shop_queue_messages{stream} and shop_queue_bytes{stream}, read
// when they are asked for.
func (s *Server) Register(registry prometheus.Registerer) {
	labels := []string{"stream"}
	registry.MustRegister(&collector{
		nats:     s.nats,
		messages: prometheus.NewDesc("shop_queue_messages", "Messages in a stream; of ORDERS: not yet fulfilled.", labels, nil),
		bytes:    prometheus.NewDesc("shop_queue_bytes", "Bytes that a stream holds.", labels, nil),
	})
}

type collector struct {
	nats            *server.Server
	messages, bytes *prometheus.Desc
}

func (c *collector) Describe(out chan<- *prometheus.Desc) {
	out <- c.messages
	out <- c.bytes
}

func (c *collector) Collect(out chan<- prometheus.Metric) {
	info, err := c.nats.Jsz(&server.JSzOptions{Accounts: true, Streams: true})
	if err != nil {
		out <- prometheus.NewInvalidMetric(c.messages, err)
		return
	}
	for _, account := range info.AccountDetails {
		for _, stream := range account.Streams {
			out <- prometheus.MustNewConstMetric(c.messages, prometheus.GaugeValue, float64(stream.State.Msgs), stream.Name)
			out <- prometheus.MustNewConstMetric(c.bytes, prometheus.GaugeValue, float64(stream.State.Bytes), stream.Name)
		}
	}
}
