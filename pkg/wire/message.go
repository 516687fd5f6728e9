package wire

import "github.com/holdfast-dht/holdfast/pkg/kad"

// PublicPrefix begins the name of the protocol on the public network: /ipfs/kad/1.0.0.
const PublicPrefix = "/ipfs"

// Type is the kind of an RPC (Message.type).
type Type uint8

// The six RPCs of the protocol, by their numbers on the wire.
const (
	PutValue Type = iota
	GetValue
	AddProvider
	GetProviders
	FindNode
	Ping

	NumTypes = 6
)

var typeNames = [NumTypes]string{"PUT_VALUE", "GET_VALUE", "ADD_PROVIDER", "GET_PROVIDERS", "FIND_NODE", "PING"}

// String returns the name of the RPC as the specification spells it.
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return "UNKNOWN"
}

// Connection is what the sender knows about its connection to a peer (Peer.connection).
type Connection uint8

// Connection values of the wire. go-libp2p-kad-dht sends the first two.
const (
	NotConnected Connection = iota
	Connected
	CanConnect
	CannotConnect
)

// Scope is which addresses may be accepted from a peer and sent to it, judged by the
// remote address of its connection. A wider scope contains the narrower ones: loopback
// includes private and public, private includes public.
type Scope uint8

// The scopes, narrowest first.
const (
	ScopePublic Scope = iota
	ScopePrivate
	ScopeLoopback

	NumScopes = 3
)

// Peer is an entry of closerPeers or providerPeers.
type Peer struct {
	ID         kad.PeerID
	Addrs      [][]byte // binary multiaddrs
	Connection Connection

	// Raw, if not nil, is the encoded body of this entry (without its field tag
	// and length) and is written instead of the fields above. Parse leaves it nil.
	Raw []byte
}

// Record is a value record on the wire.
type Record struct {
	Key          []byte
	Value        []byte
	TimeReceived string // RFC 3339 with nanoseconds, set by the holder; py-libp2p sends a float, which is of no use
	Publisher    []byte // field 666, rust-libp2p
	TTL          uint32 // field 777, remaining seconds; 0 = absent
}

// Message is one frame's content.
type Message struct {
	Type          Type
	Key           []byte
	Record        *Record
	CloserPeers   []Peer
	ProviderPeers []Peer

	// WantsAck is set by Parse when field 11 is present: py-libp2p then waits
	// for an answer to ADD_PROVIDER. It is never written.
	WantsAck bool
}
