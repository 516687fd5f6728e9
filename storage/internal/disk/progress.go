package disk

import (
	"path/filepath"

	"go.etcd.io/bbolt"
)

// Progress is how far one step of a long operation on the files has come.
type Progress struct {
	Step string // the current step, such as "checking pages of holdfast.db"
	Done int64
	// Total is 0 if unknown. For records it is the number that the files claim: in damaged
	// files, Done may exceed it or never reach it.
	Total int64
	Bytes bool // Done and Total are bytes; otherwise they are records
}

// The amount of work between two progress reports: tens of milliseconds, against which the
// cost of a report does not matter.
const (
	meterBytes   = 1 << 20
	meterRecords = 4096
)

// Meter reports the progress of one step: when it begins, after every meterBytes or
// meterRecords, and when it ends. One goroutine owns it.
type Meter struct {
	report func(Progress)
	now    Progress
	every  int64
	next   int64 // value of Done at which the next report is due
}

// NewMeter begins a step and reports it to progress, which may be nil.
func NewMeter(progress func(Progress), step Progress) *Meter {
	if progress == nil {
		progress = func(Progress) {}
	}
	m := &Meter{report: progress, now: step, every: meterRecords}
	if step.Bytes {
		m.every = meterBytes
	}
	m.End()
	return m
}

// Add adds n to the finished work.
func (m *Meter) Add(n int64) {
	if m.now.Done += n; m.now.Done >= m.next {
		m.End()
	}
}

// Reach raises the finished work to done, but not above the total.
func (m *Meter) Reach(done int64) { m.Add(max(0, min(done, m.now.Total)-m.now.Done)) }

// Write adds len(b) to the finished work, so that a Meter can be an io.Writer. It never
// fails.
func (m *Meter) Write(b []byte) (int, error) {
	m.Add(int64(len(b)))
	return len(b), nil
}

// End reports everything counted so far.
func (m *Meter) End() {
	m.next = m.now.Done + m.every
	m.report(m.now)
}

// Skip counts the remaining work, which is not needed, as finished and ends the step.
func (m *Meter) Skip() {
	m.now.Done = max(m.now.Done, m.now.Total)
	m.End()
}

// CheckTx runs bbolt's own check of the transaction's file. bbolt does not report progress.
func CheckTx(tx *bbolt.Tx, progress func(Progress), problem func(format string, args ...any)) {
	path := tx.DB().Path()
	NewMeter(progress, Progress{Step: "checking " + filepath.Base(path) + " with bbolt, which does not report progress"})
	for err := range tx.Check() {
		problem("%s: bbolt: %v", path, err)
	}
}
