package kad

// PeerID is the binary form of a libp2p peer ID (a multihash). It converts to
// and from go-libp2p's peer.ID without copying.
type PeerID string

// Peer is a participant: its ID and, computed once at the edge, its key.
type Peer struct {
	ID  PeerID
	Key Key
}

// NewPeer computes the key of a peer ID.
func NewPeer(id PeerID) Peer { return Peer{ID: id, Key: KeyOf([]byte(id))} }
