package kad

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/bits"
)

// K is Kademlia's k: how many peers hold a record, how many an answer names, and how many
// are in a bucket (libp2p kad-dht specification).
const K = 20

// KeyBits is the width of the keyspace in bits (SHA2-256).
const KeyBits = 256

// Key is a point in the keyspace: the SHA2-256 of a peer ID, a multihash or a
// record key (libp2p kad-dht spec, "distance").
type Key [32]byte

// KeyOf hashes a preimage, the bytes that travel on the wire, into the keyspace.
func KeyOf(preimage []byte) Key { return sha256.Sum256(preimage) }

// String returns the first 8 bytes of the key in hex, enough to recognise it.
func (k Key) String() string { return hex.EncodeToString(k[:8]) }

// Bit returns bit i, counted from the most significant one: 0 or 1.
func (k *Key) Bit(i int) byte { return k[i>>3] >> (7 - i&7) & 1 }

// CommonPrefixLen returns how many leading bits a and b share: 0 to 256.
func CommonPrefixLen(a, b *Key) int {
	for i := 0; i < len(a); i += 8 {
		x := binary.BigEndian.Uint64(a[i:]) ^ binary.BigEndian.Uint64(b[i:])
		if x != 0 {
			return i*8 + bits.LeadingZeros64(x)
		}
	}
	return KeyBits
}

// Distance returns the XOR of a and b as a big-endian number.
func Distance(a, b *Key) Key {
	var d Key
	for i := 0; i < len(d); i += 8 {
		binary.NativeEndian.PutUint64(d[i:], binary.NativeEndian.Uint64(a[i:])^binary.NativeEndian.Uint64(b[i:]))
	}
	return d
}

// CompareDistance is negative if a is nearer to target than b, positive if b is
// nearer and 0 if they are the same key.
func CompareDistance(target, a, b *Key) int {
	for i := 0; i < len(target); i += 8 {
		t := binary.BigEndian.Uint64(target[i:])
		x := binary.BigEndian.Uint64(a[i:]) ^ t
		y := binary.BigEndian.Uint64(b[i:]) ^ t
		if x < y {
			return -1
		}
		if x > y {
			return 1
		}
	}
	return 0
}

// Compare orders keys as big-endian numbers.
func Compare(a, b *Key) int { return bytes.Compare(a[:], b[:]) }
