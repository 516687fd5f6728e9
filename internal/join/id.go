package join

import (
	"fmt"
	"math/bits"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

// Parameters of the network.
const (
	// Bits is the width of an ID.
	Bits = 4
	// BucketSize is k: peers in a bucket and in an answer.
	BucketSize = 2
	// Alpha is how many peers a lookup asks at once: one, so that its steps have only one
	// order.
	Alpha = 1

	ids = 1 << Bits
)

// ID is a four-bit ID.
type ID uint8

// String returns the ID in binary.
func (id ID) String() string { return fmt.Sprintf("%0*b", Bits, uint8(id)) }

// MarshalText is String, for JSON.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// key is the smallest key that begins with the ID's bits.
func (id ID) key() kad.Key { return kad.Key{byte(id) << (8 - Bits)} }

func (id ID) peer() kad.Peer { return kad.Peer{ID: kad.PeerID(id.String()), Key: id.key()} }

func idOf(p kad.Peer) ID { return ID(p.Key[0] >> (8 - Bits)) }

func idsOf(ps []kad.Peer) []ID {
	out := make([]ID, len(ps))
	for i, p := range ps {
		out[i] = idOf(p)
	}
	return out
}

// bucket is the bucket of id in the table of owner; -1 for its own ID.
func bucket(owner, id ID) int { return bits.Len8(uint8(owner^id)) - 1 }

// bucketOfCPL translates a common prefix length into a bucket's number.
func bucketOfCPL(cpl int) int { return Bits - 1 - cpl }
