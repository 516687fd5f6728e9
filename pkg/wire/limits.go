package wire

import "errors"

// Limits of the wire. What a peer sends beyond a count is skipped without an
// error; what it sends beyond a size of a frame is refused.
const (
	// MaxFrame bounds a frame that is read, in bytes (go-libp2p-kad-dht reads 4 MiB).
	MaxFrame = 4 << 20
	// MaxReply bounds FIND_NODE and GET_VALUE replies in bytes: rust-libp2p
	// drops a stream that carries more than 16 KiB by default.
	MaxReply = 16 << 10
	// MaxPeerEntry bounds the encoded body of one Peer in bytes (ipfs/specs
	// kad-dht); addresses beyond it are neither written nor kept.
	MaxPeerEntry = 8 << 10
	// MaxCloserPeers bounds the closer peers kept of one message. Servers send
	// at most 21; callers cap further, at twice their replication.
	MaxCloserPeers = 128
	// MaxProviderPeers bounds the provider peers kept of one message that is parsed
	// whole. go-libp2p-kad-dht sends all it has: see Message.ParsePart.
	MaxProviderPeers = 1024
	// minPeerEntry is the length of the shortest entry of a real peer in bytes: its ID
	// has 34, and there are two tags and two lengths.
	minPeerEntry = 38
	// MaxPeerAddrs bounds the addresses kept of one Peer, before any filter by
	// scope: peers behind many relays list some 30.
	MaxPeerAddrs = 64
	// MaxAddrLen bounds one binary multiaddr in bytes; a relayed
	// webtransport address with two certificate hashes takes about 170.
	MaxAddrLen = 256
	// MaxPeerIDLen bounds a peer ID in bytes; real ones have 34 to 42.
	MaxPeerIDLen = 128
	// maxTimeReceived bounds Record.timeReceived in bytes; RFC 3339 with
	// nanoseconds takes 35.
	maxTimeReceived = 64
)

var (
	// ErrMalformed is returned when the bytes are no message: broken protobuf,
	// a group, or a known field of the wrong wire type.
	ErrMalformed = errors.New("wire: malformed message")
	// ErrEmptyFrame is returned for a message of no bytes: old py-libp2p pings
	// with one, and it would decode as a PUT_VALUE without key.
	ErrEmptyFrame = errors.New("wire: empty frame")
	// ErrFrameTooLarge is returned when a length prefix is over the limit or
	// does not fit 64 bits.
	ErrFrameTooLarge = errors.New("wire: frame too large")
)
