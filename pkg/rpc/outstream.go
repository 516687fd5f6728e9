package rpc

import (
	"bytes"
	"container/list"
	"context"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// outBuffer is the first size of an outbound stream's read buffer in bytes: a
// usual answer of 20 peers with two addresses has 1.5 to 3 KiB.
const outBuffer = 2 << 10

// outStream is an outbound stream, owned by one caller or by the pool.
type outStream struct {
	network.Stream
	frames *wire.FrameReader
	scope  wire.Scope
	reused bool // it has carried a request before

	// owned by the pool
	owner *outPeer
	place *list.Element
	since time.Time
}

func newOutStream(s network.Stream, maxReply int, scope wire.Scope) *outStream {
	return &outStream{
		Stream: s,
		frames: wire.NewFrameReader(outBuffer, maxReply),
		scope:  scope,
	}
}

// readFrame reads one frame, which is valid until the next call.
func (s *outStream) readFrame() ([]byte, error) {
	for {
		frame, ok, err := s.frames.Next()
		if ok || err != nil {
			return frame, err
		}
		if _, err := s.frames.Fill(s.Stream); err != nil {
			return nil, err
		}
	}
}

// roundTrip sends the frame out and reads the reply to a request of type want,
// until deadline. It tells when the request was written.
func (s *outStream) roundTrip(deadline time.Time, out []byte, want wire.Type) (m *wire.Message, n int, sent time.Time, err error) {
	if err := s.SetDeadline(deadline); err != nil {
		return nil, 0, sent, fmt.Errorf("set deadline: %w", err)
	}
	sent = time.Now()
	if _, err := s.Write(out); err != nil {
		return nil, 0, sent, fmt.Errorf("write: %w", err)
	}
	frame, err := s.readFrame()
	if err != nil {
		return nil, s.frames.Buffered(), sent, err
	}
	m, err = wire.Parse(bytes.Clone(frame)) // the message keeps its bytes, the buffer is reused
	if err == nil && m.Type != want {
		err = fmt.Errorf("%w: %v instead of %v", ErrReplyType, m.Type, want)
	}
	return m, len(frame), sent, err
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
