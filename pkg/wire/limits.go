package wire

import "errors"

// Limits of the wire. Elements beyond a count are skipped without an error. A frame
// beyond a size is refused.
const (
	// MaxFrame limits a frame that is read, in bytes (go-libp2p-kad-dht reads 4 MiB).
	MaxFrame = 4 << 20
	// MaxReply limits FIND_NODE and GET_VALUE replies in bytes, because rust-libp2p
	// drops a stream with a message of more than 16 KiB by default.
	MaxReply = 16 << 10
	// MaxPeerEntry limits the encoded body of one Peer in bytes (ipfs/specs kad-dht).
	// Addresses beyond it are neither written nor kept.
	MaxPeerEntry = 8 << 10
	// MaxCloserPeers limits the closer peers kept of one message. Servers send at most
	// 21. Callers limit them further, to twice their replication factor.
	MaxCloserPeers = 128
	// MaxProviderPeers limits the provider peers kept of one message that is parsed
	// whole. go-libp2p-kad-dht sends all it has; see Message.ParsePart.
	MaxProviderPeers = 1024
	// minPeerEntry is the length of the shortest entry of a real peer in bytes: its ID
	// has 34, and there are two tags and two lengths.
	minPeerEntry = 38
	// MaxPeerAddrs limits the addresses kept of one Peer, before the filter by scope.
	// Peers behind many relays list about 30.
	MaxPeerAddrs = 64
	// MaxAddrLen limits one binary multiaddr in bytes. A relayed webtransport address
	// with two certificate hashes takes about 170.
	MaxAddrLen = 256
	// MaxPeerIDLen limits a peer ID in bytes; real ones have 34 to 42.
	MaxPeerIDLen = 128
	// maxTimeReceived limits Record.timeReceived in bytes; RFC 3339 with nanoseconds
	// takes 35.
	maxTimeReceived = 64
)

var (
	// ErrMalformed is returned when the bytes are not a message: broken protobuf, a
	// group, or a known field of the wrong wire type.
	ErrMalformed = errors.New("malformed message")
	// ErrEmptyFrame is returned for a message of zero bytes. Old versions of py-libp2p
	// send one as a ping; it would decode as a PUT_VALUE without a key.
	ErrEmptyFrame = errors.New("empty frame")
	// ErrFrameTooLarge is returned when a length prefix exceeds the limit or does not
	// fit in 64 bits.
	ErrFrameTooLarge = errors.New("frame too large")
)
