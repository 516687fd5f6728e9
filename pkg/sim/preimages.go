package sim

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"sync"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

// preimages has one preimage for each prefix of 16 bits. To find one by trial takes
// 65,536 hashes: a node can afford that for its refreshes, a simulation of thousands of
// nodes cannot.
type preimages struct{ salts []uint32 }

// allPreimages is shared by all worlds.
var allPreimages = sync.OnceValue(newPreimages)

// newPreimages tries salts until every prefix has one: about 800,000 hashes.
func newPreimages() *preimages {
	p := &preimages{salts: make([]uint32, 1<<kad.MaxPreimageBits)}
	left := len(p.salts)
	for salt := uint32(1); left > 0; salt++ {
		k := kad.KeyOf(preimage(salt))
		at := binary.BigEndian.Uint16(k[:])
		if p.salts[at] == 0 {
			p.salts[at] = salt
			left--
		}
	}
	return p
}

// preimage returns bytes in the form of a peer ID. Bytes 2 to 5 are not the number of any
// node.
func preimage(salt uint32) []byte {
	b := make([]byte, idLen)
	copy(b, []byte{0x12, 0x20, 0xff, 0xff, 0xff, 0xff})
	binary.BigEndian.PutUint32(b[6:], salt)
	return b
}

// random returns a preimage whose key lies in p, cut to 16 bits.
func (t *preimages) random(rng *rand.Rand, p kad.Prefix) []byte {
	first := p.First()
	bits := min(p.Len(), kad.MaxPreimageBits)
	at := binary.BigEndian.Uint16(first[:])
	at |= uint16(rng.Uint32()) & uint16(1<<(kad.MaxPreimageBits-bits)-1)
	return preimage(t.salts[at])
}

// keys caches the hashes of keys, because during a lookup many nodes in turn are asked
// for the same key.
type keys [1 << 10]struct {
	preimage []byte
	key      kad.Key
}

// keyOf returns kad.KeyOf(preimage), cached.
func (w *World) keyOf(preimage []byte) kad.Key {
	if len(preimage) < idLen {
		return kad.KeyOf(preimage)
	}
	if num := binary.BigEndian.Uint32(preimage[2:]); uint64(num) < uint64(len(w.nodes)) {
		if p := w.peer(num); string(p.ID) == string(preimage) {
			return p.Key
		}
	}
	k := &w.keys[binary.BigEndian.Uint16(preimage[8:])%uint16(len(w.keys))]
	if !bytes.Equal(k.preimage, preimage) {
		k.preimage, k.key = preimage, kad.KeyOf(preimage)
	}
	return k.key
}
