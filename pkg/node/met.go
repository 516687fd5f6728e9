package node

import (
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	// metSlots bounds the senders that are remembered: 16 KiB.
	metSlots = 2048
	// metPeriod is how long the loop does not hear of a sender again.
	metPeriod = time.Minute
)

var metSeed = maphash.MakeSeed()

// met remembers which senders were met in this period, so that a client that asks
// much costs the loop nothing: a slot for each hash, in which the last one stays.
// Safe for concurrent use.
type met struct{ slots [metSlots]atomic.Uint64 }

// lately reports whether p was met in this period, and notes that it is now. It may
// forget, and it takes one peer for another once in 2^53 times.
func (m *met) lately(p peer.ID, now time.Time) bool {
	h := maphash.String(metSeed, string(p))
	mark := h ^ uint64(now.Unix()/int64(metPeriod/time.Second))*0x9e3779b97f4a7c15
	slot := &m.slots[h%metSlots]
	if slot.Load() == mark {
		return true
	}
	slot.Store(mark)
	return false
}
