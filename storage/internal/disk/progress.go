package disk

import (
	"path/filepath"

	"go.etcd.io/bbolt"
)

// Progress is how far one step of long work on the files has come.
type Progress struct {
	Step string // what is under way, such as "checking pages of holdfast.db"
	Done int64
	// Total is 0 if it is not known. Of records it is what the files say of
	// themselves: in damaged ones Done may pass it or never reach it.
	Total int64
	Bytes bool // Done and Total are bytes; otherwise they are records
}

// How much is done between two calls of a Meter's function: tens of milliseconds of
// work, beside which a call costs nothing.
const (
	meterBytes   = 1 << 20
	meterRecords = 4096
)

// Meter tells how far one step has come: at its beginning, after every meterBytes or
// meterRecords, and at its end. Owned by one goroutine.
type Meter struct {
	tell  func(Progress)
	now   Progress
	every int64
	next  int64 // what is done when tell is called again
}

// NewMeter begins a step. tell may be nil.
func NewMeter(tell func(Progress), step Progress) *Meter {
	if tell == nil {
		tell = func(Progress) {}
	}
	m := &Meter{tell: tell, now: step, every: meterRecords}
	if step.Bytes {
		m.every = meterBytes
	}
	m.End()
	return m
}

// Add counts what has been done.
func (m *Meter) Add(n int64) {
	if m.now.Done += n; m.now.Done >= m.next {
		m.End()
	}
}

// Reach notes that so much is done as was seen, at most the total.
func (m *Meter) Reach(done int64) { m.Add(max(0, min(done, m.now.Total)-m.now.Done)) }

// Write counts bytes. It never fails.
func (m *Meter) Write(b []byte) (int, error) {
	m.Add(int64(len(b)))
	return len(b), nil
}

// End tells of all that was counted.
func (m *Meter) End() {
	m.next = m.now.Done + m.every
	m.tell(m.now)
}

// Skip counts the rest, which needs no work, and ends the step.
func (m *Meter) Skip() {
	m.now.Done = max(m.now.Done, m.now.Total)
	m.End()
}

// CheckTx has bbolt check the file of a transaction. bbolt does not tell how far it is.
func CheckTx(tx *bbolt.Tx, tell func(Progress), problem func(format string, args ...any)) {
	path := tx.DB().Path()
	NewMeter(tell, Progress{Step: "checking " + filepath.Base(path) + " with bbolt, which does not tell how far it is"})
	for err := range tx.Check() {
		problem("%s: bbolt: %v", path, err)
	}
}
