package workload

import (
	"encoding/binary"
	"math/bits"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

const (
	// peerCount is the number of providers; a server in the public network sees some ten
	// thousand.
	peerCount = 15_000
	// burst is how many records a provider announces at once.
	burst = 500
	// fillSpan is the time in which the records of the fill arrive: less than records.MaxTTL,
	// so that none has expired when it ends.
	fillSpan = 44 * time.Hour
	// reannounce is the age at which a record is republished (go-libp2p-kad-dht: 22 h).
	reannounce = 22 * time.Hour
)

// Ranges of record numbers.
const (
	popular = 1 << 60 // keys that many records share
	absent  = 1 << 61 // keys without providers
)

// data generates records. Record i is always the same. It is generated again each time, so
// that only the memory of the store is measured.
type data struct {
	seed  uint64
	fill  uint64 // records of the fill
	peers []records.Provider
}

func newData(seed, fill uint64) *data {
	d := &data{seed: seed, fill: fill}
	for i := range uint64(peerCount) {
		id := append(make([]byte, 0, 38), "\x00\x24\x08\x01\x12\x20"...) // an inlined Ed25519 key
		for j := range uint64(4) {
			id = binary.BigEndian.AppendUint64(id, mix(seed^0xed25519, i*4+j))
		}
		d.peers = append(d.peers, records.Provider{ID: kad.PeerID(id), Addrs: addrsOf(mix(seed, i))})
	}
	return d
}

// addrsOf returns one TCP and one QUIC address.
func addrsOf(r uint64) [][]byte {
	ip := binary.BigEndian.AppendUint32([]byte{4}, uint32(r)) // ip4
	tcp := append(append([]byte{}, ip...), 6, 0x0f, 0xa1)     // tcp 4001
	quic := append(append([]byte{}, ip...), 0x91, 0x02, 0x0f, 0xa1, 0xcd, 0x03)
	return [][]byte{tcp, quic}
}

// mix returns a pseudo-random number for each pair.
func mix(a, b uint64) uint64 {
	x := a + b*0x9e3779b97f4a7c15
	for _, m := range [...]uint64{0xbf58476d1ce4e5b9, 0x94d049bb133111eb, 0xd6e8feb86659fd93} {
		x = (x ^ x>>31) * m
	}
	return x ^ bits.RotateLeft64(x, 29)
}

// appendKey appends the key of record i: a SHA-256 multihash.
func (d *data) appendKey(dst []byte, i uint64) []byte {
	if i%10 == 0 && i < popular {
		i = popular + mix(d.seed, i)%max(d.fill/100, 1)
	}
	dst = append(dst, 0x12, 0x20)
	for j := range uint64(4) {
		dst = binary.BigEndian.AppendUint64(dst, mix(d.seed, i*4+j))
	}
	return dst
}

// record generates record i, reusing the memory of a.
func (d *data) record(a *ProviderRecord, i uint64, now time.Time) {
	a.Key = d.appendKey(a.Key[:0], i)
	a.Provider = d.peers[mix(d.seed, i/burst)%peerCount]
	a.Provider.Expires = now.Add(records.MaxTTL)
	a.Provider.AddrsExpire = now.Add(records.ProviderAddrTTL)
}

// arrival returns when record i of the fill arrives, as an offset from the start.
func (d *data) arrival(i uint64) time.Duration {
	return time.Duration(float64(fillSpan) * (float64(i) / float64(d.fill)))
}
