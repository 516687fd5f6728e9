package usage

import (
	"hash/maphash"
	"math"
	"math/bits"
	"sync"
)

const (
	// registers of a sketch: an estimate is off by 9 % (1.04 / sqrt(128)), by less
	// under a few hundred.
	registers = 128
	// window is how many seconds of records each of the two halves of a sketch
	// covers: half the 48 h that a record lives at most. A key renewed every 22 h
	// counts once, one no longer renewed fades within 24 to 48 hours.
	window = 24 * 3600
)

var sketchSeed = maphash.MakeSeed()

// sketch estimates how many different keys a peer has had stored lately, which is
// about how many records of it are held: HyperLogLog (Flajolet et al. 2007) over
// two windows of time. 288 bytes. Safe for concurrent use.
type sketch struct {
	mu     sync.Mutex
	period int64 // of now: unix seconds / window
	now    [registers]uint8
	before [registers]uint8
}

// add notes a key stored at a time in unix seconds.
func (s *sketch) add(key []byte, seconds int64) {
	h := maphash.Bytes(sketchSeed, key)
	at := h % registers
	rank := uint8(bits.LeadingZeros64(h)) + 1
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(seconds / window)
	s.now[at] = max(s.now[at], rank)
}

// turn moves to another window. mu is held.
func (s *sketch) turn(period int64) {
	if period <= s.period {
		return
	}
	s.before = [registers]uint8{}
	if period == s.period+1 {
		s.before = s.now
	}
	s.now = [registers]uint8{}
	s.period = period
}

// estimate returns about how many different keys were stored in this window and
// the one before.
func (s *sketch) estimate(seconds int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(seconds / window)
	sum, empty := 0.0, 0
	for i := range s.now {
		rank := max(s.now[i], s.before[i])
		sum += math.Ldexp(1, -int(rank))
		if rank == 0 {
			empty++
		}
	}
	const m = registers
	e := 0.7213 / (1 + 1.079/m) * m * m / sum
	if e <= 2.5*m && empty > 0 { // linear counting
		e = m * math.Log(m/float64(empty))
	}
	return int64(math.Round(e))
}
