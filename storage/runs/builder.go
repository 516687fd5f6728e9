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

// builder owns the file of runs. One goroutine works in short transactions. Between two of
// them it chooses the first of these steps for which there is work:
//
//  1. free deletes a run that has left the view, because that frees space.
//  2. flush writes out the oldest table that is not active. It first marks the copies of
//     removed records in older runs. Then one transaction writes a run for each epoch and
//     marks the generation as flushed. Then the runs replace the table in the view.
//  3. mergeSome merges one more segment of the runs that chooseMerge has chosen: all runs of
//     an epoch that is complete, or enough runs of one level. The last transaction adds the
//     row of the output and deletes the inputs. Then the output replaces them in the view.
//
// Its invariants:
//
//   - The number of a run is never reused.
//   - A run does not change, except that removals mark records in it.
//   - A run without a row in the runs bucket is garbage, which sweep removes at open. So a
//     crash costs only the unfinished work.
//   - When there is no space, it pauses (retryEvery) and retries. Tables stay in memory
//     meanwhile, and writers wait or are refused.
//   - A damaged run ends merging until the next open; flushing continues.
type builder struct {
	s        *Store
	wake     chan struct{} // has one element if there may be work
	stop     chan struct{} // closed to stop the builder
	done     chan struct{} // closed when the builder has stopped
	health   atomic.Pointer[health]
	nextRun  uint32
	merging  *merge
	freeing  pause          // before freeing is retried after a failure
	building pause          // before flushes and merges are retried after a failure
	broken   bool           // a run is damaged: no merging until the next open
	flushes  int            // since open
	written  map[uint32]int // epoch id -> the last flush that contained records of it
	filters  filterBuilder
	recs     []record // reused
	arena    []byte   // reused

	mu      sync.Mutex
	garbage []garbage
}

// health is the result of the last attempt to write out a table.
type health struct {
	err     error         // nil: success
	changed chan struct{} // closed when a newer result exists
}

// garbage are runs outside the view whose pages must be freed.
type garbage struct {
	runs []*run
	done chan struct{} // closed when they are freed; nil: no goroutine waits
}

// retryEvery is how long the builder waits before it retries a failed step, such as after a
// full disk. A failed transaction makes bbolt walk the whole file.
const retryEvery = 5 * time.Second

// maxWritten bounds the epochs whose last flush the builder remembers.
const maxWritten = 1024

// mergeFan is how many runs of one level are merged into one of the next.
const mergeFan = 6

// quietFlushes is the number of consecutive flushes without records of an epoch after which
// the epoch is considered complete. Its runs are then merged into one.
const quietFlushes = 2

func newBuilder(s *Store, nextRun uint32) *builder {
	b := &builder{
		s: s, nextRun: nextRun, wake: make(chan struct{}, 1), stop: make(chan struct{}),
		done: make(chan struct{}), written: make(map[uint32]int), filters: filterBuilder{seed: s.seed},
	}
	b.health.Store(&health{changed: make(chan struct{})})
	return b
}

// notify wakes the builder.
func (b *builder) notify() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// discard lets the builder free runs that have left the view. It closes done afterwards.
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

// loop works until stop is closed. The next open continues unfinished work.
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
		b.recs, b.arena = nil, nil // 25 MB, not needed for minutes
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

// step does the most urgent work and reports whether there was any. Work that frees space
// comes first.
func (b *builder) step() (did bool, err error) {
	g, ok := b.nextGarbage()
	v := b.s.view.Load() // load it after nextGarbage: garbage has left the view and is not an input of a merge
	if ok && b.freeing.rested() {
		if b.merging != nil && !b.merging.wanted(v) {
			b.discard([]*run{b.merging.out}, nil)
			b.merging = nil
		}
		// A failure to free pages must not delay other work.
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

// pause is the time until which a kind of work is not retried.
type pause time.Time

func (p pause) rested() bool { return !time.Now().Before(time.Time(p)) }

// tried handles the result of an attempt. After a failure there is a pause.
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

// free frees the pages of runs, one run per transaction. After a failure, other garbage comes
// first, and waiting goroutines are released.
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

// deleteRun removes all parts of a run that exist.
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

// flush writes out a table as one run per epoch. The same transaction records that the
// generation is in runs.
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

// writeEpochs writes the records of a table, sorted in b.recs, as one run per epoch, and
// appends the runs to made.
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

// noteFlush records which epochs a flush contained.
func (b *builder) noteFlush(made []*run) {
	b.flushes++
	if len(b.written)+len(made) > maxWritten {
		clear(b.written)
	}
	for _, r := range made {
		b.written[r.epoch.id] = b.flushes
	}
}

// showRuns replaces a table with its runs in the view.
func (b *builder) showRuns(t *table, made []*run) {
	var late []*run // runs of epochs that were dropped meanwhile
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

// epochOf returns the epoch with this number to which the table's records belong.
func (t *table) epochOf(number uint32) epochRef {
	i := slices.IndexFunc(t.epochs, func(r epochRef) bool { return r.epoch == number })
	if i < 0 {
		return epochRef{epoch: number} // no epoch has id 0: the run will be garbage
	}
	return t.epochs[i]
}

// newRun starts a run. Its number is never reused, even if the run is not completed.
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

// write fills a new run with sorted records and adds its row.
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

// writeSegment appends sorted records and their filter to a run.
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

// sweep discards the data of runs outside the view: output of merges that were not completed,
// and runs of dropped epochs.
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

// abandon removes the output of an unfinished merge before the file is closed.
func (b *builder) abandon(tx *bbolt.Tx) error {
	if b.merging == nil || !b.merging.begun {
		return nil
	}
	return deleteRun(tx, b.merging.out.number)
}
