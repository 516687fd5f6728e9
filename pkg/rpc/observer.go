package rpc

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// Outcome is how an RPC ended.
type Outcome uint8

// The outcomes of an RPC.
const (
	Replied   Outcome = iota
	NoReply           // success; the message has no reply
	Rejected          // the receiver refused the request or the reply
	TimedOut          // the peer did not read or write in time
	Failed            // the stream could not be opened, or ended early
	Cancelled         // by the caller or by Close

	NumOutcomes = 6
)

var outcomeNames = [NumOutcomes]string{"reply", "no_reply", "rejected", "timeout", "error", "cancelled"}

// String returns the name of the outcome in metrics.
func (o Outcome) String() string { return outcomeNames[o] }

// Reasons of an outcome, with their names in metrics. ServerConfig.Reason may add reasons of
// the handler.
const (
	ReasonNone        = ""
	ReasonClosed      = "closed"       // this side is shutting down
	ReasonUnreachable = "unreachable"  // no connection or no stream
	ReasonUnsupported = "unsupported"  // the peer does not support the protocol
	ReasonEnded       = "stream_ended" // EOF or reset instead of a message
	ReasonReplyType   = "reply_type"
	ReasonTooLarge    = "too_large"
	ReasonMalformed   = "malformed"
	ReasonEmpty       = "empty_frame"
	ReasonUnknownType = "unknown_type"
	ReasonRefused     = "refused" // the handler returned an error
	ReasonStreams     = "too_many_streams"
	ReasonIdle        = "idle_stream" // ended to admit another at the bound of streams
	ReasonMemory      = "memory"      // refused by libp2p's resource manager
	ReasonRate        = "rate_limited"
	ReasonOther       = "other"
)

// Stats describes a completed RPC.
type Stats struct {
	Type     wire.Type // wire.NumTypes or more if it is unknown
	Peer     peer.ID
	Key      []byte    // key of the message; valid only during the call
	At       time.Time // when it ended
	Outcome  Outcome
	Reason   string        // one of the Reason constants, or of ServerConfig.Reason
	Duration time.Duration // outbound: the whole RPC; inbound: from the complete request to the written reply
	BytesIn  int           // content of frames, without length prefixes
	BytesOut int
}

// Observer receives the completed RPCs of a Client or Server. It is called concurrently and
// must not block.
type Observer interface {
	Outbound(s Stats)
	Inbound(s Stats)
}

// NopObserver does nothing. It replaces a nil Observer.
type NopObserver struct{}

var _ Observer = NopObserver{}

// Outbound implements Observer.
func (NopObserver) Outbound(Stats) {}

// Inbound implements Observer.
func (NopObserver) Inbound(Stats) {}
