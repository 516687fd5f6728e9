package disk

import (
	"sync"
	"sync/atomic"
)

// Pins are the long readers of a file: backups. While one is open, bbolt uses no page
// again that was freed since it began. Safe for concurrent use.
type Pins struct {
	open atomic.Int32

	mu   sync.Mutex
	cuts map[*func()]struct{}
}

// Hold notes a long reader, until release. cut ends it when its pages are needed; it
// must not block, and may be called more than once.
func (p *Pins) Hold(cut func()) (release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cuts == nil {
		p.cuts = make(map[*func()]struct{})
	}
	p.cuts[&cut] = struct{}{}
	p.open.Add(1)
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.cuts, &cut)
		p.open.Add(-1)
	})
}

// Held reports whether there is a long reader.
func (p *Pins) Held() bool { return p.open.Load() > 0 }

// Cut ends all long readers.
func (p *Pins) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for cut := range p.cuts {
		(*cut)()
	}
}

// MayPin returns how many bytes of pages long readers may hold of a file that would have
// so much room without them: all but the reserve that new records leave to renewals and
// upkeep, and half of what is left in a file that is full.
func MayPin(room, reserve int64) int64 { return max(room-reserve, min(room, reserve)/2, 0) }
