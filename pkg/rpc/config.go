package rpc

import (
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"golang.org/x/time/rate"

	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// Default bounds of messages in bytes.
const (
	// DefaultMaxReply is the size up to which go-libp2p-kad-dht sends all its providers.
	// Replies are read in parts.
	DefaultMaxReply = wire.MaxFrame
	// DefaultMaxField exceeds a peer entry, which has at most 8 KiB, and a record, which has
	// little more than 10 KiB.
	DefaultMaxField = partSize
	// DefaultMaxRequest exceeds a value of 10 KiB and a provider record of less than 5 KiB.
	DefaultMaxRequest = 256 << 10
)

// Default bounds of inbound streams.
const (
	DefaultMaxStreams        = 4096
	DefaultMaxStreamsPerPeer = 128
)

// ClientConfig configures a Client. Fields that are zero or negative have their default.
type ClientConfig struct {
	// Timeout of one Request, including the dial, and of each write of a Notify. Default:
	// 10 s. A node sets dht.RequestTimeout.
	Timeout time.Duration
	// DialTimeout of a peer that is not connected. Default: 5 s. This tolerates two lost
	// packets of a handshake, and detects a peer that has disappeared in half the time of a
	// slow one.
	DialTimeout time.Duration
	// ConfirmTimeout is how long a Notify waits for the peer to end its side of the stream,
	// which confirms that the peer has read everything. Default: 2 s, a round trip around the
	// globe and some work.
	ConfirmTimeout time.Duration
	// IdleTimeout is how long an unused stream stays open. Default: 30 s, well below the 60 s
	// after which servers reset it.
	IdleTimeout time.Duration
	// MaxReply bounds a reply in bytes. Default: 4 MiB. Increase it if values are larger.
	MaxReply int
	// MaxField bounds one field of a reply in bytes, which is a peer entry or a record. It
	// also bounds the buffer of a stream, rounded up to a power of two. Default and minimum:
	// 64 KiB. Increase it if values are larger.
	MaxField int
	// MaxStreamsPerPeer bounds the concurrent RPCs to one peer; further RPCs wait. Default:
	// 8. This is enough that one slow answer does not delay the others, and low enough to
	// stay within the limits of the peer's resource manager.
	MaxStreamsPerPeer int
	// MaxIdlePerPeer bounds the idle streams kept per peer. Default: 2.
	MaxIdlePerPeer int
	// MaxIdle bounds all idle streams; the oldest are closed first. Default: 512, a few KiB
	// each.
	MaxIdle int
	// MaxMemory bounds the peers whose conduct is remembered: whether they serve several
	// requests on one stream, and whether they answer messages that have no reply. Default:
	// 8192, about 100 bytes each.
	MaxMemory int
	// Scope returns the scope of a connection. Default: ScopeOf its remote address.
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

// ServerConfig configures a Server. Zero fields have their default, and so do negative ones
// unless documented otherwise.
type ServerConfig struct {
	// IdleTimeout is how long a stream without requests stays open before it is reset.
	// Default: 60 s, as in go-libp2p-kad-dht. A stream may end after three quarters of it
	// (see deadline).
	IdleTimeout time.Duration
	// ReadTimeout is the time in which a peer must complete a request that it has begun.
	// Default: 10 s.
	ReadTimeout time.Duration
	// WriteTimeout is the time in which a peer must read a reply. Default: 10 s.
	WriteTimeout time.Duration
	// CloseTimeout is how long Close waits for running handlers. Default: 10 s.
	CloseTimeout time.Duration
	// MaxRequest bounds a request in bytes. Default: 256 KiB. Increase it if values are
	// larger.
	MaxRequest int
	// MaxProvidersReply bounds a GET_PROVIDERS reply in bytes. Default: 64 KiB. Replies to
	// FIND_NODE and GET_VALUE are bounded by wire.MaxReply.
	MaxProvidersReply int
	// MaxStreams bounds all inbound streams. Default: DefaultMaxStreams, about 12 KiB each
	// when idle. At the bound, the longest idle stream of the peer with the most streams is
	// ended to admit a new one. The host's resource manager must admit more streams than
	// this, or it refuses new ones before the server can end an idle one.
	MaxStreams int
	// MaxStreamsPerPeer bounds the inbound streams of one peer. At the bound, the peer's own
	// longest idle stream is ended to admit the next. Default: DefaultMaxStreamsPerPeer.
	MaxStreamsPerPeer int
	// Rate bounds the requests of one peer per second, with bursts of the same size. Default:
	// 50,000. This keeps one peer from using a whole machine, but does not restrict a bulk
	// provider. Negative: no limit.
	Rate rate.Limit
	// MaxMemory bounds the peers without streams whose rate is remembered. Default: 4096,
	// about 200 bytes each.
	MaxMemory int
	// Scope returns the scope of a connection. Default: ScopeOf its remote address.
	Scope func(network.Conn) wire.Scope
	// Reason maps an error of the handler to a reason in Stats, which must be one of a few
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

// setDefault also replaces negative values: such a limit would refuse or admit everything.
func setDefault[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}
