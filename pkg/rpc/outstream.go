package rpc

import (
	"bytes"
	"container/list"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// outBuffer is the first size of an outbound stream's read buffer in bytes: a
// usual answer of 20 peers with two addresses has 1.5 to 3 KiB.
const outBuffer = 2 << 10

// partSize is how many bytes of a long reply are parsed and given on at once. So a
// reply of 4 MiB takes little more memory than one of 64 KiB, and its first providers
// are known before the last have arrived. Of its other lists only the first and the
// last part are kept.
const partSize = 64 << 10

// outStream is an outbound stream, owned by one caller or by the pool.
type outStream struct {
	network.Stream
	frames *wire.FrameReader
	scope  wire.Scope
	field  int  // bytes of the longest field of a reply
	reused bool // it has carried a request before

	// owned by the pool
	owner *outPeer
	place *list.Element
	since time.Time
}

func newOutStream(s network.Stream, cfg *ClientConfig) *outStream {
	return &outStream{
		Stream: s,
		frames: wire.NewFrameReader(outBuffer, cfg.MaxReply),
		scope:  cfg.Scope(s.Conn()),
		field:  cfg.MaxField,
	}
}

// readReply reads the reply to a request of type want and returns it with its length,
// or with what came of it before an error. What more is given of it: see
// Client.RequestParts.
func (s *outStream) readReply(want wire.Type, more func(Reply)) (*wire.Message, int, error) {
	m := new(wire.Message)
	first := true
	n, err := s.readMessage(func(part []byte, last bool) error {
		closer, providers := len(m.CloserPeers), len(m.ProviderPeers)
		err := m.ParsePart(bytes.Clone(part)) // the message keeps its bytes, the buffer is reused
		switch ahead := more != nil && len(m.ProviderPeers) > 0 && !last; {
		case err != nil:
			return err
		case m.Type != want && (last || ahead):
			return fmt.Errorf("%w: %v instead of %v", ErrReplyType, m.Type, want)
		case ahead:
			s.giveAhead(m, more)
		}
		if !first && !last { // servers send closer peers before the providers or after them
			m.CloserPeers, m.ProviderPeers = m.CloserPeers[:closer], m.ProviderPeers[:min(providers, len(m.ProviderPeers))]
		}
		first = false
		return nil
	})
	return m, n, err
}

// giveAhead moves the providers that m has so far to the caller.
func (s *outStream) giveAhead(m *wire.Message, more func(Reply)) {
	part := &wire.Message{Type: m.Type, Key: m.Key, ProviderPeers: m.ProviderPeers}
	m.ProviderPeers = nil
	filterMessage(part, s.scope)
	more(Reply{Message: part, Addr: s.Conn().RemoteMultiaddr(), Scope: s.scope})
}

// readMessage reads one message, in parts if it is long, gives each to take, which
// must not keep it, and returns how many bytes came.
func (s *outStream) readMessage(take func(part []byte, last bool) error) (n int, err error) {
	for {
		part, last, err := s.readPart()
		if err != nil {
			return n + s.frames.Buffered(), err
		}
		if n += len(part); n == 0 {
			return 0, wire.ErrEmptyFrame
		}
		err = take(part, last)
		s.frames.Take(len(part))
		if err != nil || last {
			return n, err
		}
	}
}

// readPart reads the next part of a message.
func (s *outStream) readPart() (part []byte, last bool, err error) {
	for {
		part, last, ok, err := s.frames.Part(partSize, s.field)
		if ok || err != nil {
			return part, last, err
		}
		if _, err := s.frames.Fill(s.Stream); err != nil {
			return nil, false, err
		}
	}
}

// roundTrip sends the frame out and reads the reply to a request of type want,
// until deadline. It tells when the request was written.
func (s *outStream) roundTrip(deadline time.Time, out []byte, want wire.Type, more func(Reply)) (m *wire.Message, n int, sent time.Time, err error) {
	if err := s.SetDeadline(deadline); err != nil {
		return nil, 0, sent, fmt.Errorf("set deadline: %w", err)
	}
	sent = time.Now()
	if _, err := s.Write(out); err != nil {
		return nil, 0, sent, fmt.Errorf("write: %w", err)
	}
	m, n, err = s.readReply(want, more)
	return m, n, sent, err
}

// clean reports whether nothing is unread, as far as is known.
func (s *outStream) clean() bool { return s.frames.Buffered() == 0 }

// close ends a stream that is done. It is a no-op on nil.
func (s *outStream) close() {
	if s != nil {
		_ = s.Close() // nothing depends on it any more
	}
}

func (s *outStream) reset() { _ = s.Reset() }

// describe gives a failure on the stream its sentinel, as the function describe does. It
// closes a lost connection: the host would open more streams on it until it sees that.
func (s *outStream) describe(ctx context.Context, err error) error {
	err = describe(ctx, err)
	if errors.Is(err, ErrNoReply) && s.Conn().IsClosed() {
		err = connLost(err)
	}
	if errors.Is(err, ErrConnLost) {
		_ = s.Conn().Close() // it is closed already
	}
	return err
}

// lost reports whether a failure on the stream is that of its connection.
func (s *outStream) lost(err error) bool { return isConnLost(err) || s.Conn().IsClosed() }

// watch resets the stream when ctx ends, which interrupts reads and writes. The
// returned function stops that and reports whether the stream was left alone.
func (s *outStream) watch(ctx context.Context) (stop func() bool) {
	done := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		s.reset()
		close(done)
	})
	return func() bool {
		if cancel() {
			return true
		}
		<-done
		return false
	}
}
