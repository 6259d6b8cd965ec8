package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/proxy/config"
	pb "github.com/tatami-platform/tatami/internal/proxy/config/configpb"
	"github.com/tatami-platform/tatami/internal/proxy/config/wire"
)

// session is one stream.
type session struct {
	options Options
	state   *config.State
	stream  grpc.BidiStreamingClient[pb.ProxyMessage, pb.ControlMessage]
	// messages come from the one goroutine that reads the stream.
	messages chan received
	nonce    string // of the last message
	good     bool
}

// received is a message, or why there are no more.
type received struct {
	message *pb.ControlMessage
	err     error
}

// run speaks the protocol until the stream ends.
func (s *session) run(ctx context.Context) error {
	node := wire.EncodeNode(connect.Node{Name: s.options.Node.Name, Service: s.options.Node.Service, Zone: s.options.Node.Zone})
	if node.GetName() == "" {
		node.Name = config.DefaultNode
	}
	subscribe := &pb.Subscribe{Node: node, Version: s.state.Version()}
	go s.receive(ctx)
	if err := s.send(ctx, &pb.ProxyMessage{Message: &pb.ProxyMessage_Subscribe{Subscribe: subscribe}}); err != nil {
		return err
	}
	heartbeat := time.NewTimer(s.options.Heartbeat)
	defer heartbeat.Stop()
	files := time.NewTicker(s.options.Interval)
	defer files.Stop()
	heard := time.Now()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case r := <-s.messages:
			if r.err != nil {
				return r.err
			}
			if err := s.handle(ctx, r.message); err != nil {
				return err
			}
			// After the change was applied: that may take its time.
			heard = time.Now()
		case <-heartbeat.C:
			if silence := time.Since(heard); silence > 3*s.options.Heartbeat {
				return fmt.Errorf("nothing was heard for %v", silence.Round(time.Millisecond))
			}
			if err := s.send(ctx, &pb.ProxyMessage{Message: &pb.ProxyMessage_Heartbeat{Heartbeat: &pb.Heartbeat{}}}); err != nil {
				return err
			}
			heartbeat.Reset(s.options.Heartbeat)
		case <-files.C:
			refresh(s.options, s.state)
		}
	}
}

// receive hands messages on one by one; it ends with the stream or the context.
func (s *session) receive(ctx context.Context) {
	for {
		m, err := s.stream.Recv()
		select {
		case s.messages <- received{m, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// send sends a message. Where it cannot, the stream is over, and only its status,
// which comes to receive, says why.
func (s *session) send(ctx context.Context, m *pb.ProxyMessage) error {
	err := s.stream.Send(m)
	if !errors.Is(err, io.EOF) {
		return err
	}
	for {
		select {
		case r := <-s.messages:
			if r.err != nil {
				return r.err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// handle answers a message. What the server may do wrong with a configuration is a
// Nack; the stream goes on.
func (s *session) handle(ctx context.Context, m *pb.ControlMessage) error {
	switch m := m.GetMessage().(type) {
	case *pb.ControlMessage_Heartbeat:
		return nil
	case *pb.ControlMessage_Snapshot:
		change := config.Change{Version: m.Snapshot.GetVersion(), All: true, Upserts: m.Snapshot.GetResources()}
		return s.answer(ctx, m.Snapshot.GetNonce(), change, nil)
	case *pb.ControlMessage_Delta:
		d := m.Delta
		var err error
		if d.GetFromVersion() != s.state.Version() || s.state.Config() == nil {
			err = fmt.Errorf("the delta is from version %q but %q is in use; send one from there, or a snapshot", d.GetFromVersion(), s.state.Version())
		}
		change := config.Change{Version: d.GetToVersion(), Upserts: d.GetUpserts(), Removals: d.GetRemovals()}
		return s.answer(ctx, d.GetNonce(), change, err)
	default:
		return errors.New("the server sent a message of a kind that is not known; it may be newer than this proxy")
	}
}

// answer offers a change and says what became of it. refused is why it cannot even
// be offered.
func (s *session) answer(ctx context.Context, nonce string, change config.Change, refused error) error {
	err := refused
	switch {
	case nonce == "":
		err = errors.New("the message has no nonce")
	case nonce == s.nonce:
		err = fmt.Errorf("the nonce %q is that of the message before", nonce)
	case err == nil:
		err = s.state.Offer(change)
	}
	s.nonce = nonce
	if err == nil {
		s.good = true
		ack := &pb.Ack{Nonce: nonce, Version: s.state.Version()}
		return s.send(ctx, &pb.ProxyMessage{Message: &pb.ProxyMessage_Ack{Ack: ack}})
	}
	s.options.Report(fmt.Errorf("version %s is refused, %q stays in use: %w", change.Version, s.state.Version(), err))
	nack := &pb.Nack{Nonce: nonce, Version: s.state.Version(), Reasons: reasons(err)}
	return s.send(ctx, &pb.ProxyMessage{Message: &pb.ProxyMessage_Nack{Nack: nack}})
}

func reasons(err error) []string {
	if invalid, found := errors.AsType[*connect.InvalidError](err); found {
		return invalid.Reasons()
	}
	return []string{err.Error()}
}
