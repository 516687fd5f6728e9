package runs

import (
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// builder owns the file of runs. One goroutine works in short transactions, and between two
// of them does the first of these steps for which there is something to do:
//
//  1. free deletes a run that is out of the view, because that makes room.
//  2. flush writes out the oldest table that is not active. It first marks the copies of
//     removed records in older runs. Then one transaction writes a run for each epoch and
//     notes the generation as flushed. Then the runs take the table's place in the view.
//  3. mergeSome merges one more segment of the runs that chooseMerge has chosen: those of an
//     epoch that is complete, or enough of one level. The last transaction gives the output
//     its row and deletes the inputs; then the output takes their place in the view.
//
// It keeps these invariants:
//
//   - The number of a run is never used again.
//   - A run does not change, except that removals mark records in it.
//   - A run without a row in the bucket runs is garbage, which sweep removes at open. So a
//     crash costs the work that was not finished, and nothing else.
//   - Without room it pauses (retryEvery) and tries again: the tables stay in memory, and
//     writers wait or are refused.
//   - A damaged run ends merging until the next open; flushing goes on.
type builder struct {
	s        *Store
	wake     chan struct{} // has one element when there may be something to do
	stop     chan struct{} // closed to end it
	done     chan struct{} // closed when it has ended
	health   atomic.Pointer[health]
	nextRun  uint32
	merging  *merge
	freeing  pause          // of freeing what was dropped, after there was no room
	building pause          // of flushes and merges
	broken   bool           // a run is damaged: no merging until the next open
	flushes  int            // since open
	written  map[uint32]int // epoch id -> the last flush that had records of it
	filters  filterBuilder
	recs     []record // used again
	arena    []byte   // used again

	mu      sync.Mutex
	garbage []garbage
}

// health is how the last attempt to write out a table went.
type health struct {
	err     error         // nil: well
	changed chan struct{} // closed when there is a newer one
}

// garbage are runs out of view whose pages are to be freed.
type garbage struct {
	runs []*run
	done chan struct{} // closed when that is done; nil: nobody waits
}

// retryEvery is how long the builder waits after the disk was full. A failed
// transaction makes bbolt walk the whole file.
const retryEvery = 5 * time.Second

// maxWritten bounds the epochs of which the builder knows the last flush.
const maxWritten = 1024

// mergeFan is how many runs of a level make one of the next.
const mergeFan = 6

// quietFlushes: an epoch that so many flushes have brought nothing to is taken to
// be complete, and its runs become one.
const quietFlushes = 2

func newBuilder(s *Store, nextRun uint32) *builder {
	b := &builder{
		s: s, nextRun: nextRun, wake: make(chan struct{}, 1), stop: make(chan struct{}),
		done: make(chan struct{}), written: make(map[uint32]int), filters: filterBuilder{seed: s.seed},
	}
	b.health.Store(&health{changed: make(chan struct{})})
	return b
}

// notify makes the builder look for work.
func (b *builder) notify() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// discard has the builder free runs that are out of view. done is closed then.
func (b *builder) discard(runs []*run, done chan struct{}) {
	b.mu.Lock()
	b.garbage = append(b.garbage, garbage{runs: runs, done: done})
	b.mu.Unlock()
	b.notify()
}

func (b *builder) setHealth(err error) {
	old := b.health.Load()
	if err == nil && old.err == nil {
		return
	}
	b.health.Store(&health{err: err, changed: make(chan struct{})})
	close(old.changed)
}

// loop works until stop is closed. What it leaves undone is done after the next
// open.
func (b *builder) loop() {
	defer close(b.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-b.stop:
			return
		default:
		}
		did, err := b.step()
		if errors.Is(err, ErrFailed) {
			_ = b.s.noteFailure(err)
			b.setHealth(err)
			<-b.stop
			return
		}
		if did && err == nil {
			continue
		}
		b.recs, b.arena = nil, nil // 25 MB, for the next time in minutes
		b.filters = filterBuilder{seed: b.s.seed}
		timer.Reset(b.s.opts.shape.retry)
		select {
		case <-b.wake:
		case <-timer.C:
		case <-b.stop:
			return
		}
	}
}

// step does the most urgent thing, and tells whether there was any. What makes
// room comes first.
func (b *builder) step() (did bool, err error) {
	g, ok := b.nextGarbage()
	v := b.s.view.Load() // after it: garbage has left the view, and is no merge's input
	if ok && b.freeing.rested() {
		if b.merging != nil && !b.merging.wanted(v) {
			b.discard([]*run{b.merging.out}, nil)
			b.merging = nil
		}
		// What cannot be freed holds up nothing else.
		if did, err := b.tried(&b.freeing, "free", b.free(g)); did || errors.Is(err, ErrFailed) {
			return did, err
		}
	}
	if !b.building.rested() {
		return false, nil
	}
	if n := len(v.tables); n > 1 {
		err := b.flush(v.tables[n-1])
		b.setHealth(err)
		return b.tried(&b.building, "flush", err)
	}
	if b.merging == nil && !b.broken {
		b.merging = b.chooseMerge(v)
	}
	if b.merging == nil {
		return false, nil
	}
	return b.tried(&b.building, "merge", b.mergeSome())
}

// pause is the time before which nothing of a kind is tried again.
type pause time.Time

func (p pause) rested() bool { return !time.Now().Before(time.Time(p)) }

// tried takes note of how an attempt went. After one that failed there is a pause.
func (b *builder) tried(p *pause, op string, err error) (did bool, _ error) {
	if err != nil {
		b.s.report(op, err)
		*p = pause(time.Now().Add(b.s.opts.shape.retry))
	}
	return err == nil, err
}

func (b *builder) nextGarbage() (garbage, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.garbage) == 0 {
		return garbage{}, false
	}
	return b.garbage[0], true
}

// free frees the pages of runs, one run to a transaction. If that fails the others
// come first, and nobody is kept waiting.
func (b *builder) free(g garbage) (err error) {
	for len(g.runs) > 0 && err == nil {
		number := g.runs[0].number
		if err = b.s.runs.Update(func(tx *bbolt.Tx) error { return deleteRun(tx, number) }); err == nil {
			g.runs = g.runs[1:]
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	waiting := b.garbage[:1]
	if err != nil {
		waiting = b.garbage
	}
	for i := range waiting {
		if done := waiting[i].done; done != nil {
			close(done)
			waiting[i].done = nil
		}
	}
	b.garbage = b.garbage[1:]
	if err != nil {
		b.garbage = append(b.garbage, garbage{runs: g.runs})
	}
	return err
}

// deleteRun removes what there is of a run.
func deleteRun(tx *bbolt.Tx, number uint32) error {
	for _, prefix := range []byte{prefixBlocks, prefixFilter} {
		if name := numbered(prefix, number); tx.Bucket(name) != nil {
			if err := tx.DeleteBucket(name); err != nil {
				return err
			}
		}
	}
	rows, err := disk.BucketOf(tx, bucketRuns)
	if err != nil {
		return err
	}
	return rows.Delete(disk.U32(number))
}

// flush writes a table out: a run for each epoch. The transaction that does so
// also notes that the generation is in runs.
func (b *builder) flush(t *table) error {
	if err := b.removeCopies(t.removals); err != nil {
		return err
	}
	b.recs = t.sorted(b.recs)
	if err := fits(b.s.runs, int64(len(b.recs))*(copyBytes+2)); err != nil {
		return err
	}
	var made []*run
	err := b.s.runs.Update(func(tx *bbolt.Tx) (err error) {
		if made, err = b.writeEpochs(tx, t, made[:0]); err != nil {
			return err
		}
		return putMeta(tx, keyFlushed, t.gen)
	})
	if err != nil {
		return err
	}
	b.noteFlush(made)
	b.showRuns(t, made)
	b.s.flushed.Store(t.gen)
	b.s.flushCount.Add(1)
	close(t.flushed)
	b.s.queue.signal()
	return nil
}

// writeEpochs writes the records of a table, sorted in b.recs, as a run for each
// epoch, and appends the runs to made.
func (b *builder) writeEpochs(tx *bbolt.Tx, t *table, made []*run) ([]*run, error) {
	b.arena = b.arena[:0]
	for rest := b.recs; len(rest) > 0; {
		epoch := epochOf(rest[0].expires)
		n, _ := slices.BinarySearchFunc(rest, epoch, func(r record, e uint32) int {
			if epochOf(r.expires) <= e {
				return -1
			}
			return 1
		})
		r, err := b.newRun(tx, t.epochOf(epoch), 0)
		if err != nil {
			return made, err
		}
		if err := b.write(tx, r, rest[:n]); err != nil {
			return made, err
		}
		made, rest = append(made, r), rest[n:]
	}
	return made, nil
}

// noteFlush notes which epochs a flush has brought something to.
func (b *builder) noteFlush(made []*run) {
	b.flushes++
	if len(b.written)+len(made) > maxWritten {
		clear(b.written)
	}
	for _, r := range made {
		b.written[r.epoch.id] = b.flushes
	}
}

// showRuns puts a table's runs in its place in the view.
func (b *builder) showRuns(t *table, made []*run) {
	var late []*run // of epochs that were dropped meanwhile
	b.s.change(func(v *view) bool {
		late = late[:0]
		v.tables = slices.DeleteFunc(v.tables, func(o *table) bool { return o == t })
		for _, r := range made {
			if t.isDead(r.epoch.epoch) {
				late = append(late, r)
			} else {
				v.add(r)
			}
		}
		return true
	})
	if len(late) > 0 {
		b.discard(late, nil)
	}
}

// epochOf returns which epoch of a number the table's records belong to.
func (t *table) epochOf(number uint32) epochRef {
	i := slices.IndexFunc(t.epochs, func(r epochRef) bool { return r.epoch == number })
	if i < 0 {
		return epochRef{epoch: number} // no epoch has this id: the run is garbage
	}
	return t.epochs[i]
}

// newRun begins a run; its number is not given again, whatever becomes of it.
func (b *builder) newRun(tx *bbolt.Tx, epoch epochRef, level int) (*run, error) {
	r := newRun(b.nextRun, epoch, level)
	b.nextRun++
	for _, name := range [][]byte{r.blocks, r.filters} {
		if _, err := tx.CreateBucket(name); err != nil {
			return nil, err
		}
	}
	return r, putMeta(tx, keyNextRun, b.nextRun)
}

// write fills a new run with sorted records and describes it.
func (b *builder) write(tx *bbolt.Tx, r *run, recs []record) error {
	for len(recs) > 0 {
		n := min(len(recs), b.s.opts.shape.segment)
		if err := b.writeSegment(tx, r, recs[:n]); err != nil {
			return err
		}
		recs = recs[n:]
	}
	return putRun(tx, r)
}

// writeSegment appends sorted records to a run, with their filter.
func (b *builder) writeSegment(tx *bbolt.Tx, r *run, recs []record) error {
	blocks, err := r.open(tx)
	if err != nil {
		return err
	}
	filters, err := disk.BucketOf(tx, r.filters)
	if err != nil {
		return err
	}
	seg := segment{start: recs[0].key, records: uint32(len(recs)), filter: b.filters.filter(recs)}
	if b.arena, err = putBlocks(blocks, r.number, recs, b.arena, b.s.opts.shape); err != nil {
		return err
	}
	if err := putFilter(filters, len(r.segments), seg.filter); err != nil {
		return err
	}
	r.segments = append(r.segments, seg)
	r.records += int64(len(recs))
	for i := range recs {
		r.newest = max(r.newest, recs[i].expires)
	}
	return nil
}

func putRun(tx *bbolt.Tx, r *run) error {
	rows, err := disk.BucketOf(tx, bucketRuns)
	if err != nil {
		return err
	}
	return rows.Put(r.name(), r.encode())
}

func putMeta(tx *bbolt.Tx, key []byte, v uint32) error {
	meta, err := disk.BucketOf(tx, bucketMeta)
	if err != nil {
		return err
	}
	return meta.Put(key, disk.U32(v))
}

// sweep removes what is of no run: output of a merge that was not completed, and
// runs of dropped epochs.
func (b *builder) sweep() error {
	known := make(map[uint32]bool)
	for _, r := range b.s.view.Load().runs {
		known[r.number] = true
	}
	var gone []*run
	note := func(number uint32) error { //nolint:unparam // eachNumbered takes it
		if !known[number] {
			known[number] = true
			gone = append(gone, newRun(number, epochRef{}, 0))
		}
		return nil
	}
	err := b.s.runs.View(func(tx *bbolt.Tx) error {
		rows, err := disk.BucketOf(tx, bucketRuns)
		if err != nil {
			return err
		}
		return disk.FirstErr(
			rows.ForEach(func(k, _ []byte) error { return note(binary.BigEndian.Uint32(k)) }),
			eachNumbered(tx, prefixBlocks, note),
			eachNumbered(tx, prefixFilter, note),
		)
	})
	if len(gone) > 0 {
		b.discard(gone, nil)
	}
	return err
}

// abandon removes a merge's output that was not completed, before the file is
// closed.
func (b *builder) abandon(tx *bbolt.Tx) error {
	if b.merging == nil || !b.merging.begun {
		return nil
	}
	return deleteRun(tx, b.merging.out.number)
}
