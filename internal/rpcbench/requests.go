package rpcbench

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// keyLen is the length in bytes of a SHA-256 multihash, the usual form of content and peer
// IDs.
const keyLen = 34

// keyOf returns the key of record i: a multihash that is not the hash of any content.
func keyOf(dst []byte, i uint64) []byte {
	dst = append(dst[:0], 0x12, 0x20)
	// Spread over the keyspace like a hash; the node hashes it again anyway.
	for range 4 {
		i = i*0x9e3779b97f4a7c15 + 0x632be59bd9b4e019
		dst = binary.BigEndian.AppendUint64(dst, i^i>>29)
	}
	return dst
}

// requestsOf returns the requests of a stream: requests of a type for random records among
// the given number (0: for random keys).
func requestsOf(t wire.Type, records int, seed uint64) func() []byte {
	rng := rand.New(rand.NewPCG(seed, uint64(t)))
	key := make([]byte, 0, keyLen)
	var out []byte
	return func() []byte {
		i := rng.Uint64()
		if records > 0 {
			i = rng.Uint64N(uint64(records))
		}
		key = keyOf(key, i)
		out = wire.AppendFrame(out[:0], &wire.Message{Type: t, Key: key})
		return out
	}
}

// sameAgain returns a generator that always returns the same frame.
func sameAgain(frame []byte) func(int) func() []byte {
	return func(int) func() []byte { return func() []byte { return frame } }
}
