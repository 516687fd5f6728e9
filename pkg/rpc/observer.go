package rpc

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// Outcome says how an RPC ended.
type Outcome uint8

// How an RPC can end.
const (
	Replied   Outcome = iota
	NoReply           // done, and no reply belongs to it
	Rejected          // by the receiver of the message: request or reply was not acceptable
	TimedOut          // the peer did not read or write in time
	Failed            // the stream could not be opened or ended early
	Cancelled         // by the caller, or by Close

	NumOutcomes = 6
)

var outcomeNames = [NumOutcomes]string{"reply", "no_reply", "rejected", "timeout", "error", "cancelled"}

// String returns the name of the outcome as metrics label it.
func (o Outcome) String() string { return outcomeNames[o] }

// Reasons of an outcome, as metrics label them. ServerConfig.Reason may add the
// ones of the handler.
const (
	ReasonNone        = ""
	ReasonClosed      = "closed"       // this side is shutting down
	ReasonUnreachable = "unreachable"  // no connection or no stream
	ReasonUnsupported = "unsupported"  // the peer does not speak the protocol
	ReasonEnded       = "stream_ended" // EOF or reset where a message was due
	ReasonReplyType   = "reply_type"
	ReasonTooLarge    = "too_large"
	ReasonMalformed   = "malformed"
	ReasonEmpty       = "empty_frame"
	ReasonUnknownType = "unknown_type"
	ReasonRefused     = "refused" // the handler returned an error
	ReasonStreams     = "too_many_streams"
	ReasonIdle        = "idle_stream" // ended for a newcomer at the bound of streams
	ReasonMemory      = "memory"      // refused by libp2p's resource manager
	ReasonRate        = "rate_limited"
	ReasonOther       = "other"
)

// Stats describes one RPC that has ended.
type Stats struct {
	Type     wire.Type // wire.NumTypes or more if it never became known
	Peer     peer.ID
	Key      []byte    // the message's; valid during the call only
	At       time.Time // when it ended
	Outcome  Outcome
	Reason   string        // one of the Reason constants, or of ServerConfig.Reason
	Duration time.Duration // outbound: all of it; inbound: from the whole request to the written reply
	BytesIn  int           // content of frames, without length prefixes
	BytesOut int
}

// Observer receives the RPCs of a Client or Server. It is called concurrently
// and must not block.
type Observer interface {
	Outbound(s Stats)
	Inbound(s Stats)
}

// NopObserver does nothing. New functions use it for a nil Observer.
type NopObserver struct{}

var _ Observer = NopObserver{}

// Outbound implements Observer.
func (NopObserver) Outbound(Stats) {}

// Inbound implements Observer.
func (NopObserver) Inbound(Stats) {}
