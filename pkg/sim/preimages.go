package sim

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"sync"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

// preimages has one preimage for each prefix of 16 bits: to find one by chance
// takes 65,536 hashes, which a node does now and then and a simulation cannot do
// for each of its refreshes.
type preimages struct{ salts []uint32 }

// allPreimages is the same for all worlds.
var allPreimages = sync.OnceValue(newPreimages)

// newPreimages tries salts until every prefix has one: some 800,000 hashes.
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

// preimage has the form of a peer ID. Its bytes 2 to 5 name no node.
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

// keys remembers what keys hash to: everybody asks for one key in turn.
type keys [1 << 10]struct {
	preimage []byte
	key      kad.Key
}

// keyOf is kad.KeyOf.
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
