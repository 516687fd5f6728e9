package disk

import (
	"sync"
	"time"
)

// cutWait bounds how long Cut waits for a long reader to end. A reader notices after one read
// of the disk; Cut does not wait for a disk that hangs.
const cutWait = time.Second

// Pins are the long readers of a file: backups. While one is open, bbolt does not reuse any
// page that was freed since the reader began. A commit ends them if they pin more than mayPin
// allows. Safe for concurrent use.
type Pins struct {
	mu      sync.Mutex
	readers map[*reader]struct{}
}

type reader struct {
	cut  func()
	gone chan struct{} // closed by release
}

// Hold registers a long reader until release. Cut calls cut when the reader's pages are
// needed. cut must not block and may be called more than once. After it, the reader calls
// release without waiting for a commit.
func (p *Pins) Hold(cut func()) (release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.readers == nil {
		p.readers = make(map[*reader]struct{})
	}
	r := &reader{cut, make(chan struct{})}
	p.readers[r] = struct{}{}
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.readers, r)
		close(r.gone)
	})
}

// Held reports whether there is a long reader.
func (p *Pins) Held() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.readers) > 0
}

// Cut ends all long readers and waits up to cutWait for them to release their pages, which
// the next commit may need.
func (p *Pins) Cut() {
	late := time.NewTimer(cutWait)
	defer late.Stop()
	for _, r := range p.cutAll() {
		select {
		case <-r.gone:
		case <-late.C:
			return
		}
	}
}

func (p *Pins) cutAll() (all []*reader) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for r := range p.readers {
		r.cut()
		all = append(all, r)
	}
	return all
}

// mayPin returns how many bytes of pages long readers may pin in a file that would have space
// bytes left without them: everything except the reserve that new records leave for
// republishing and maintenance, and half of the remainder in a full file.
func mayPin(space, reserve int64) int64 { return max(space-reserve, min(space, reserve)/2, 0) }
