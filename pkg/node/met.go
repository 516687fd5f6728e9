package node

import (
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	// metSlots limits the senders that are remembered, of 8 bytes each.
	metSlots = 2048
	// metPeriod is how long a sender is reported to the loop only once.
	metPeriod = time.Minute
)

var metSeed = maphash.MakeSeed()

// met remembers the senders of the current period, so that a client with many requests does
// not load the loop. Each slot holds the last sender whose hash selects it. Safe for
// concurrent use.
type met struct{ slots [metSlots]atomic.Uint64 }

// lately reports whether p was met in this period, and records that it is now. It may
// forget a sender, and mistakes one for another with a probability of 2^-53.
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
