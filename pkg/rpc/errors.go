package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multistream"

	"github.com/holdfast-dht/holdfast/pkg/wire"
)

var (
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("RPC client closed")
	// ErrReplyType is returned when the type of the reply differs from the request.
	ErrReplyType = errors.New("reply of another type")
	// ErrTimeout is returned when the peer did not read the request or answer in time.
	ErrTimeout = errors.New("timed out")
	// ErrUnreachable is returned when no stream to the peer could be opened. If the dial
	// failed, it wraps a DialError.
	ErrUnreachable = errors.New("peer unreachable")
	// ErrUnsupported is returned when the peer does not support the protocol.
	ErrUnsupported = errors.New("protocol not supported by peer")
	// ErrNoReply is returned when the peer ended the stream instead of answering, which
	// rejects the request.
	ErrNoReply = errors.New("stream ended without a reply")
	// ErrConnLost is returned when the connection ended during the request: the peer left, or
	// it closed one of two connections that both sides had opened simultaneously.
	ErrConnLost = errors.New("connection lost")
	// ErrLimited is returned by Notify when a peer that answers such messages resets one
	// instead: it limits how many it accepts, as py-libp2p 0.8.1 does (10 in 10 s).
	ErrLimited = errors.New("peer takes no more for now")
)

// errUnread is returned when a peer sends more answers than it received requests.
var errUnread = fmt.Errorf("%w: more answers than requests", wire.ErrMalformed)

// describe maps a failure of a stream to a sentinel. Errors of package wire stay unchanged.
// Deadlines and the end of ctx become ErrTimeout, unless ctx was cancelled. A lost connection
// becomes ErrConnLost, and an ended stream ErrNoReply.
func describe(ctx context.Context, err error) error {
	switch {
	case err == nil, errors.Is(err, ErrClosed), errors.Is(err, wire.ErrMalformed),
		errors.Is(err, wire.ErrEmptyFrame), errors.Is(err, wire.ErrFrameTooLarge):
		return err
	case errors.Is(context.Cause(ctx), ErrClosed):
		return ErrClosed
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case ctx.Err() == nil && isConnLost(err):
		return connLost(err)
	case ctx.Err() != nil, isTimeout(err):
		return fmt.Errorf("%w: %w", ErrTimeout, err)
	case errors.As(err, new(multistream.ErrNotSupported[protocol.ID])), isNegotiation(err):
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, network.ErrReset):
		return fmt.Errorf("%w: %w", ErrNoReply, err)
	}
	return err
}

// isConnLost reports whether a stream failed because its connection failed: libp2p returns a
// ConnError, and QUIC an error of package net.
func isConnLost(err error) bool {
	return errors.As(err, new(*network.ConnError)) || errors.Is(err, net.ErrClosed)
}

// connLost keeps only the text of err, because err also matches a reset or a timeout.
func connLost(err error) error { return fmt.Errorf("%w: %s", ErrConnLost, err.Error()) }

// isNegotiation reports whether the peer reset the stream because it does not support the
// protocol: go-libp2p sends this code after the refusal itself.
func isNegotiation(err error) bool {
	var s *network.StreamError
	return errors.As(err, &s) && s.Remote && s.ErrorCode == network.StreamProtocolNegotiationFailed
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &t) && t.Timeout()
}

// classify maps a failure to an outcome for observers.
func classify(err error) (Outcome, string) {
	switch {
	case err == nil:
		return Replied, ReasonNone
	case errors.Is(err, ErrClosed):
		return Cancelled, ReasonClosed
	case errors.Is(err, context.Canceled):
		return Cancelled, ReasonNone
	case errors.Is(err, ErrUnreachable):
		return Failed, ReasonUnreachable
	case errors.Is(err, ErrTimeout), isTimeout(err):
		return TimedOut, ReasonNone
	case errors.Is(err, ErrUnsupported):
		return Failed, ReasonUnsupported
	case errors.Is(err, ErrReplyType):
		return Failed, ReasonReplyType
	case errors.Is(err, wire.ErrFrameTooLarge):
		return Rejected, ReasonTooLarge
	case errors.Is(err, wire.ErrMalformed):
		return Rejected, ReasonMalformed
	case errors.Is(err, wire.ErrEmptyFrame):
		return Rejected, ReasonEmpty
	case errors.Is(err, errMemory):
		return Rejected, ReasonMemory
	case errors.Is(err, ErrNoReply), errors.Is(err, ErrConnLost), errors.Is(err, io.EOF),
		errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, network.ErrReset):
		return Failed, ReasonEnded
	}
	return Failed, ReasonOther
}
