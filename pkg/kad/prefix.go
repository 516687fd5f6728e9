package kad

import (
	"math/rand/v2"
	"strings"
)

// Prefix is a subtree of the keyspace: all keys that begin with its bits. The
// zero Prefix is the whole keyspace. It is comparable and may be a map key.
type Prefix struct {
	bits Key
	len  uint16
}

// PrefixOf returns the prefix made of the first n bits of k; n is clamped to
// 0..256.
func PrefixOf(k Key, n int) Prefix {
	n = min(max(n, 0), KeyBits)
	p := Prefix{len: uint16(n)}
	copy(p.bits[:], k[:n/8])
	if n%8 != 0 {
		p.bits[n/8] = k[n/8] & (0xff << (8 - n%8))
	}
	return p
}

// Len returns the number of bits of the prefix: 0 to 256.
func (p Prefix) Len() int { return int(p.len) }

// First returns the smallest key of the subtree.
func (p Prefix) First() Key { return p.bits }

// Last returns the largest key of the subtree.
func (p Prefix) Last() Key {
	k := p.bits
	for i := int(p.len); i < KeyBits; i++ {
		k[i>>3] |= 1 << (7 - i&7)
	}
	return k
}

// Contains reports whether k begins with the prefix.
func (p Prefix) Contains(k *Key) bool { return CommonPrefixLen(&p.bits, k) >= int(p.len) }

// Child returns the half of the subtree whose next bit is b (0 or 1).
func (p Prefix) Child(b byte) Prefix {
	q := Prefix{bits: p.bits, len: p.len + 1}
	if b != 0 {
		q.bits[p.len>>3] |= 1 << (7 - p.len&7)
	}
	return q
}

// String returns the bits as text, "*" for the whole keyspace.
func (p Prefix) String() string {
	if p.len == 0 {
		return "*"
	}
	var b strings.Builder
	for i := range int(p.len) {
		b.WriteByte('0' + p.bits.Bit(i))
	}
	return b.String()
}

// BucketPrefix returns the subtree of the keys that share exactly cpl leading
// bits with self: a routing-table bucket. cpl must be under 256.
func BucketPrefix(self Key, cpl int) Prefix {
	return PrefixOf(self, cpl).Child(1 - self.Bit(cpl))
}

// MaxPreimageBits is the longest prefix that RandomPreimage matches. A prefix of n
// bits takes 2^n hashes on average: 65,536 of about 70 ns for 16 bits.
const MaxPreimageBits = 16

// RandomPreimage returns bytes in the form of a peer ID (a SHA2-256 multihash,
// 34 bytes) whose key lies in p. A prefix longer than MaxPreimageBits is cut.
func RandomPreimage(rng *rand.Rand, p Prefix) []byte {
	p = PrefixOf(p.bits, min(p.Len(), MaxPreimageBits))
	b := make([]byte, 34)
	b[0], b[1] = 0x12, 0x20 // multihash: sha2-256, 32 bytes
	for i := 2; i < len(b); i++ {
		b[i] = byte(rng.Uint32())
	}
	for n := uint64(0); ; n++ {
		for i := range 8 {
			b[2+i] = byte(n >> (8 * i))
		}
		if k := KeyOf(b); p.Contains(&k) {
			return b
		}
	}
}
