package republish

import (
	"encoding/binary"
	"math/bits"
	"time"
)

// ringSample bounds the items that Ring looks at, so that its time is bounded too:
// half a millisecond.
const ringSample = 1 << 14

// Sector is an equal part of the keyspace at one moment.
type Sector struct {
	Keys    int     // known
	Overdue int     // of Keys: due but not in work
	Active  int     // of Keys: in work
	Left    float64 // of the interval until due, the mean over Keys: 1 just renewed, 0 due
}

// Ring returns n sectors of the keyspace from key 0 upwards. With more than 16,384
// items the counts are estimates from so many of them.
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
