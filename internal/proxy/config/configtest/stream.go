package configtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec that ours wraps
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	pb "github.com/tatami-platform/tatami/internal/proxy/config/configpb"
)

// raw is sent as it is.
type raw []byte

// codec is that of gRPC, which also sends raw bytes.
type codec struct{}

func (codec) Name() string { return "proto" }

func (codec) Marshal(v any) (mem.BufferSlice, error) {
	if b, found := v.(raw); found {
		return mem.BufferSlice{mem.SliceBuffer(b)}, nil
	}
	return encoding.GetCodecV2("proto").Marshal(v)
}

func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	return encoding.GetCodecV2("proto").Unmarshal(data, v)
}

// conn is one proxy.
type conn struct {
	server *Server
	stream grpc.BidiStreamingServer[pb.ProxyMessage, pb.ControlMessage]
	cancel context.CancelCauseFunc
	inject chan any
	node   string
	acked  string // the version in use
	tried  string // the version that was sent last, refused or not
	nonces int
	sent   map[string]Answer // by nonce: what to record when it is answered
	busy   bool              // a message is not answered yet
}

// Stream implements the service.
func (s *Server) Stream(stream grpc.BidiStreamingServer[pb.ProxyMessage, pb.ControlMessage]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	subscribe := first.GetSubscribe()
	if subscribe == nil {
		return errors.New("the first message must be a Subscribe")
	}
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	c := &conn{
		server: s, stream: stream, cancel: cancel, inject: make(chan any, 16), node: subscribe.GetNode().GetName(),
		acked: subscribe.GetVersion(), sent: map[string]Answer{},
	}
	s.mu.Lock()
	if _, known := s.states[c.acked]; !known {
		c.acked = ""
	}
	c.tried = c.acked
	s.streams[c] = struct{}{}
	s.versions = append(s.versions, subscribe.GetVersion())
	s.notify()
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.streams, c)
		s.notify()
		s.mu.Unlock()
	}()
	return c.run(ctx)
}

func (c *conn) run(ctx context.Context) error {
	incoming := make(chan *pb.ProxyMessage)
	go c.read(ctx, incoming)
	for {
		c.server.mu.Lock()
		changed := c.server.changed
		m := c.next()
		c.server.mu.Unlock()
		if m != nil {
			if err := c.stream.Send(m); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		case m := <-incoming:
			if err := c.receive(m); err != nil {
				return err
			}
		case m := <-c.inject:
			c.expect(m)
			if err := c.stream.SendMsg(m); err != nil {
				return err
			}
		}
	}
}

// read hands on what the proxy sends until the stream ends.
func (c *conn) read(ctx context.Context, to chan<- *pb.ProxyMessage) {
	for {
		m, err := c.stream.Recv()
		if err != nil {
			c.cancel(err)
			return
		}
		select {
		case to <- m:
		case <-ctx.Done():
			return
		}
	}
}

// next is what to send now, if anything: the newest state that was not tried, from
// the version that the proxy has. The lock is held.
func (c *conn) next() *pb.ControlMessage {
	s := c.server
	version := s.newest()
	if s.silent || c.busy || s.version == 0 || c.tried == version {
		return nil
	}
	c.nonces++
	nonce := "n" + strconv.Itoa(c.nonces)
	c.busy, c.tried = true, version
	if c.acked == "" {
		resources := collect(sorted(s.states[version]))
		resources.Node = s.node
		c.sent[nonce] = Answer{Node: c.node, Version: version, Resources: len(s.states[version])}
		return &pb.ControlMessage{Message: &pb.ControlMessage_Snapshot{Snapshot: &pb.Snapshot{Version: version, Nonce: nonce, Resources: resources}}}
	}
	upserts, removals := difference(s.states[c.acked], s.states[version])
	c.sent[nonce] = Answer{Node: c.node, Version: version, Delta: true, Resources: len(upserts) + len(removals)}
	resources := collect(upserts)
	resources.Node = s.node
	return &pb.ControlMessage{Message: &pb.ControlMessage_Delta{Delta: &pb.Delta{
		FromVersion: c.acked, ToVersion: version, Nonce: nonce, Upserts: resources, Removals: removals,
	}}}
}

// sorted makes messages the same from run to run.
func sorted(s state) []proto.Message {
	keys := make([]key, 0, len(s))
	for k := range s {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b key) int { return strings.Compare(a.name, b.name) })
	out := make([]proto.Message, 0, len(s))
	for _, k := range keys {
		out = append(out, s[k])
	}
	return out
}

func difference(from, to state) (upserts []proto.Message, removals []*pb.ResourceName) {
	changed := state{}
	for k, r := range to {
		if from[k] != r {
			changed[k] = r
		}
	}
	for k := range from {
		if to[k] == nil {
			removals = append(removals, &pb.ResourceName{Kind: k.kind, Name: k.name})
		}
	}
	return sorted(changed), removals
}

// expect notes what an injected message should be recorded as.
func (c *conn) expect(m any) {
	message, found := m.(*pb.ControlMessage)
	if !found {
		return
	}
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	if s := message.GetSnapshot(); s != nil {
		c.sent[s.GetNonce()] = Answer{Node: c.node, Version: s.GetVersion()}
	}
	if d := message.GetDelta(); d != nil {
		c.sent[d.GetNonce()] = Answer{Node: c.node, Version: d.GetToVersion(), Delta: true}
	}
}

func (c *conn) receive(m *pb.ProxyMessage) error {
	switch m := m.GetMessage().(type) {
	case *pb.ProxyMessage_Heartbeat:
		c.server.mu.Lock()
		silent := c.server.silent
		c.server.mu.Unlock()
		if silent {
			return nil
		}
		return c.stream.Send(&pb.ControlMessage{Message: &pb.ControlMessage_Heartbeat{Heartbeat: &pb.Heartbeat{}}})
	case *pb.ProxyMessage_Ack:
		return c.record(m.Ack.GetNonce(), m.Ack.GetVersion(), nil)
	case *pb.ProxyMessage_Nack:
		if len(m.Nack.GetReasons()) == 0 {
			return errors.New("a Nack without reasons")
		}
		return c.record(m.Nack.GetNonce(), m.Nack.GetVersion(), m.Nack.GetReasons())
	default:
		return fmt.Errorf("a %T was not expected", m)
	}
}

// record notes an answer. Nonces that were never sent are the proxy's fault.
func (c *conn) record(nonce, version string, reasons []string) error {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	a, found := c.sent[nonce]
	if !found {
		return fmt.Errorf("the nonce %q was never sent", nonce)
	}
	a.Reasons = reasons
	c.busy = false
	c.acked = version
	if _, known := c.server.states[version]; !known {
		c.acked = ""
	}
	c.server.answers = append(c.server.answers, a)
	c.server.notify()
	return nil
}
