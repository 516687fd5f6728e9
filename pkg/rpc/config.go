package rpc

import (
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"golang.org/x/time/rate"

	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// Bounds of messages in bytes, unless larger values are configured.
const (
	// DefaultMaxReply: go-libp2p-kad-dht sends as much, all providers it has. It is read
	// in parts.
	DefaultMaxReply = wire.MaxFrame
	// DefaultMaxField: an entry of a peer has at most 8 KiB, a record little over 10.
	DefaultMaxField = partSize
	// DefaultMaxRequest: values have 10 KiB, provider records under 5 KiB.
	DefaultMaxRequest = 256 << 10
)

// Bounds of inbound streams, unless others are configured.
const (
	DefaultMaxStreams        = 4096
	DefaultMaxStreamsPerPeer = 128
)

// ClientConfig is what a Client may be told. Fields of zero or less take their default.
type ClientConfig struct {
	// Timeout of one Request from start to end, dialling included; also of each
	// write of a Notify. Default 10 s (go-libp2p-kad-dht).
	Timeout time.Duration
	// DialTimeout of a peer that is not connected. Default 5 s: two lost packets of
	// a handshake are forgiven, and a peer that has vanished is given up in half the
	// time of a slow one.
	DialTimeout time.Duration
	// ConfirmTimeout is how long a Notify waits for the peer to end its side of
	// the stream, which confirms that it read everything. Default 2 s: a round
	// trip round the globe and some work.
	ConfirmTimeout time.Duration
	// IdleTimeout after which an unused stream is closed. Default 30 s, well
	// below the 60 s after which servers reset it.
	IdleTimeout time.Duration
	// MaxReply bounds a reply in bytes. Default 4 MiB. Raise it with the size of
	// values.
	MaxReply int
	// MaxField bounds one field of a reply in bytes, which is an entry of a peer or a
	// record, and with it the buffer of a stream: it is rounded up to a power of two.
	// Default 64 KiB, which is also the least. Raise it with the size of values.
	MaxField int
	// MaxStreamsPerPeer bounds concurrent RPCs to one peer; more wait. Default
	// 8: enough that one slow answer holds up nothing, few enough not to hit
	// limits of the peer's resource manager.
	MaxStreamsPerPeer int
	// MaxIdlePerPeer bounds streams kept for reuse to one peer. Default 2.
	MaxIdlePerPeer int
	// MaxIdle bounds streams kept for reuse in all; the oldest go first. Default
	// 512, a few KiB each.
	MaxIdle int
	// MaxMemory bounds the peers whose conduct is remembered: whether they serve many
	// requests on one stream, and whether they answer messages that have no reply.
	// Default 8192, about 100 bytes each.
	MaxMemory int
	// Scope judges a connection. Default: ScopeOf its remote address.
	Scope func(network.Conn) wire.Scope
}

func (c *ClientConfig) setDefaults() {
	setDefault(&c.Timeout, 10*time.Second)
	setDefault(&c.DialTimeout, 5*time.Second)
	setDefault(&c.ConfirmTimeout, 2*time.Second)
	setDefault(&c.IdleTimeout, 30*time.Second)
	setDefault(&c.MaxReply, DefaultMaxReply)
	c.MaxField = max(c.MaxField, DefaultMaxField)
	setDefault(&c.MaxStreamsPerPeer, 8)
	setDefault(&c.MaxIdlePerPeer, 2)
	setDefault(&c.MaxIdle, 512)
	setDefault(&c.MaxMemory, 8192)
	if c.Scope == nil {
		c.Scope = scopeOfConn
	}
}

// ServerConfig is what a Server may be told. Zero fields take their default, and negative
// ones too unless they say otherwise.
type ServerConfig struct {
	// IdleTimeout after which a stream without requests is reset. Default 60 s
	// (go-libp2p-kad-dht). A stream ends after three quarters of it at the
	// earliest; see deadline.
	IdleTimeout time.Duration
	// ReadTimeout in which a request that has begun must be complete. Default 10 s.
	ReadTimeout time.Duration
	// WriteTimeout in which a peer must take a reply. Default 10 s.
	WriteTimeout time.Duration
	// CloseTimeout is how long Close waits for handlers that are still at work.
	// Default 10 s.
	CloseTimeout time.Duration
	// MaxRequest bounds a request in bytes. Default 256 KiB. Raise it with the size
	// of values.
	MaxRequest int
	// MaxProvidersReply bounds a GET_PROVIDERS reply in bytes. Default 64 KiB.
	// FIND_NODE and GET_VALUE replies are bounded by wire.MaxReply.
	MaxProvidersReply int
	// MaxStreams bounds inbound streams in all. Default DefaultMaxStreams, about 12
	// KiB each when idle. At the bound the longest idle stream of the peer with most
	// is ended for a newcomer. The host's resource manager must admit more, or it
	// refuses newcomers before the server can make room.
	MaxStreams int
	// MaxStreamsPerPeer bounds inbound streams of one peer, whose own longest idle
	// one is ended for the next. Default DefaultMaxStreamsPerPeer.
	MaxStreamsPerPeer int
	// Rate bounds the requests of one peer per second, with bursts of as many.
	// Default 50,000: it stops one peer from taking all of a machine, not a bulk
	// provider. Negative: no limit.
	Rate rate.Limit
	// MaxMemory bounds the peers without a stream whose rate is remembered.
	// Default 4096, about 200 bytes each.
	MaxMemory int
	// Scope judges a connection. Default: ScopeOf its remote address.
	Scope func(network.Conn) wire.Scope
	// Reason names an error of the handler for Stats; it must choose from few
	// constants. Default: ReasonRefused.
	Reason func(error) string
}

func (c *ServerConfig) setDefaults() {
	setDefault(&c.IdleTimeout, time.Minute)
	setDefault(&c.ReadTimeout, 10*time.Second)
	setDefault(&c.WriteTimeout, 10*time.Second)
	setDefault(&c.CloseTimeout, 10*time.Second)
	setDefault(&c.MaxRequest, DefaultMaxRequest)
	setDefault(&c.MaxProvidersReply, 4*wire.MaxReply)
	setDefault(&c.MaxStreams, DefaultMaxStreams)
	setDefault(&c.MaxStreamsPerPeer, DefaultMaxStreamsPerPeer)
	setDefault(&c.MaxMemory, 4096)
	if c.Rate == 0 {
		c.Rate = 50_000
	}
	if c.Rate < 0 {
		c.Rate = rate.Inf
	}
	if c.Scope == nil {
		c.Scope = scopeOfConn
	}
	if c.Reason == nil {
		c.Reason = func(error) string { return ReasonRefused }
	}
}

func scopeOfConn(c network.Conn) wire.Scope { return ScopeOf(c.RemoteMultiaddr()) }

// setDefault also replaces a negative value: such a limit would refuse or admit
// everything.
func setDefault[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}
