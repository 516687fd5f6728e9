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

// outBuffer is the initial size of an outbound stream's read buffer in bytes. A typical
// answer of 20 peers with two addresses has 1.5 to 3 KiB.
const outBuffer = 2 << 10

// partSize is the number of bytes of a long reply that are parsed and passed on at a time. So
// a reply of 4 MiB needs little more memory than one of 64 KiB, and its first providers are
// available before the last have arrived. Of the other lists, only those in the first and the
// last part are kept.
const partSize = 64 << 10

// outStream is an outbound stream. Either one caller or the pool owns it.
type outStream struct {
	network.Stream
	frames *wire.FrameReader
	scope  wire.Scope
	field  int  // maximum length of a field of a reply
	reused bool // it has carried a request before

	// Used by the pool only.
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

// readReply reads the reply to a request of type want. It returns the reply, or the part that
// arrived before an error, and its length. more receives parts of it (see
// Client.RequestParts).
func (s *outStream) readReply(want wire.Type, more func(Reply)) (*wire.Message, int, error) {
	m := new(wire.Message)
	first := true
	n, err := s.readMessage(func(part []byte, last bool) error {
		closer, providers := len(m.CloserPeers), len(m.ProviderPeers)
		err := m.ParsePart(bytes.Clone(part)) // the message keeps the bytes, but the buffer is reused
		switch ahead := more != nil && len(m.ProviderPeers) > 0 && !last; {
		case err != nil:
			return err
		case m.Type != want && (last || ahead):
			return fmt.Errorf("%w: %v instead of %v", ErrReplyType, m.Type, want)
		case ahead:
			s.giveAhead(m, more)
		}
		if !first && !last { // servers send closer peers before or after the providers
			m.CloserPeers, m.ProviderPeers = m.CloserPeers[:closer], m.ProviderPeers[:min(providers, len(m.ProviderPeers))]
		}
		first = false
		return nil
	})
	return m, n, err
}

// giveAhead passes the providers that m has so far to more, and removes them from m.
func (s *outStream) giveAhead(m *wire.Message, more func(Reply)) {
	part := &wire.Message{Type: m.Type, Key: m.Key, ProviderPeers: m.ProviderPeers}
	m.ProviderPeers = nil
	filterMessage(part, s.scope)
	more(Reply{Message: part, Addr: s.Conn().RemoteMultiaddr(), Scope: s.scope})
}

// readMessage reads one message, in parts if it is long, and passes each part to take, which
// must not keep it. It returns the number of bytes received.
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

// roundTrip sends the frame out and reads the reply to a request of type want, both until
// deadline. sent is when the request was written.
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

// clean reports whether there is no unread data, as far as is known.
func (s *outStream) clean() bool { return s.frames.Buffered() == 0 }

// close ends a completed stream. It does nothing if s is nil.
func (s *outStream) close() {
	if s != nil {
		_ = s.Close() // the error no longer matters
	}
}

func (s *outStream) reset() { _ = s.Reset() }

// describe maps a failure on the stream to a sentinel, as the function describe does. It
// closes a lost connection, because the host would open more streams on it until it notices
// the loss.
func (s *outStream) describe(ctx context.Context, err error) error {
	err = describe(ctx, err)
	if errors.Is(err, ErrNoReply) && s.Conn().IsClosed() {
		err = connLost(err)
	}
	if errors.Is(err, ErrConnLost) {
		_ = s.Conn().Close() // usually already closed
	}
	return err
}

// lost reports whether a failure on the stream is a failure of its connection.
func (s *outStream) lost(err error) bool { return isConnLost(err) || s.Conn().IsClosed() }

// watch resets the stream when ctx ends, which interrupts reads and writes. stop ends the
// watch and reports whether the stream was not reset.
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
