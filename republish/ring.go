package republish

import (
	"encoding/binary"
	"math/bits"
	"time"
)

// ringSample bounds how many items Ring reads, and so its time, to half a millisecond.
const ringSample = 1 << 14

// Sector is an equal part of the keyspace at one moment.
type Sector struct {
	Keys    int     // published keys in the sector
	Overdue int     // of Keys: due but not active
	Active  int     // of Keys: being published
	Left    float64 // mean part of Interval until due: 1 just republished, 0 due
}

// Ring returns n sectors of the keyspace from key 0 upwards. With more than 16,384
// items, it estimates the counts from a sample of that size.
func (s *Schedule) Ring(n int, now time.Time) []Sector {
	ring := make([]Sector, n)
	step := max(1, (len(s.jobs)+ringSample-1)/ringSample)
	at := nanos(now)
	for i := 0; i < len(s.jobs); i += step {
		j := &s.jobs[i]
		hi, _ := bits.Mul64(binary.BigEndian.Uint64(j.item.Key[:]), uint64(n))
		sec := &ring[hi]
		sec.Keys++
		switch {
		case j.active():
			sec.Active++
		case j.due <= at:
			sec.Overdue++
		default:
			sec.Left += min(1, float64(j.due-at)/float64(s.cfg.Interval))
		}
	}
	for i := range ring {
		if ring[i].Keys > 0 {
			ring[i].Left /= float64(ring[i].Keys)
		}
		ring[i].Keys *= step
		ring[i].Overdue *= step
		ring[i].Active *= step
	}
	return ring
}
