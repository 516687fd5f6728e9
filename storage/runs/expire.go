package runs

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// expireStep bounds the providers that one call of Expire removes.
const expireStep = 1000

// expiry is the result of an Expire transaction.
type expiry struct {
	removed int64
	more    bool
	freed   []<-chan struct{} // closed when the dropped records no longer use space
}

// Expire removes the epochs in which every record expired at least records.ExpireGrace before
// now, and providers without records. It neither reads nor writes the records that stay.
func (s *Store) Expire(now time.Time) (out records.Expired, err error) {
	limit := seconds(now.Add(-records.ExpireGrace))
	var did expiry
	err = s.call("expire", func(x *txn) (err error) {
		did, err = x.expire(limit)
		return err
	})
	if err != nil {
		return out, err
	}
	out.Records[records.KindProvider], out.More = did.removed, did.more
	s.expired.Add(did.removed)
	for _, freed := range did.freed {
		if s.await("expire", freed) != nil {
			break // they will be freed later
		}
	}
	return out, nil
}

// await waits for the builder to close done.
func (s *Store) await(op string, done <-chan struct{}) error {
	for {
		h := s.builder.health.Load()
		if h.err != nil {
			return fmt.Errorf("%s: %w", op, h.err)
		}
		select {
		case <-done:
			return nil
		case <-s.builder.done:
			return fmt.Errorf("%s: %w", op, records.ErrClosed)
		case <-h.changed:
		}
	}
}

// expire drops everything due at limit.
func (x *txn) expire(limit uint32) (did expiry, err error) {
	if due := x.state.due(limit); len(due) > 0 {
		did.removed, did.freed = x.drop(due)
	}
	did.more, err = x.collect(epochOf(limit))
	return did, err
}

// drop removes epochs from the state. From then on their runs are garbage, whatever happens,
// and so are their records in tables (see table.kill). It ends the transaction, so that later
// writes do not find these epochs.
func (x *txn) drop(due []epoch) (removed int64, freed []<-chan struct{}) {
	for _, e := range due {
		removed += e.records
		i, _ := x.state.search(e.epoch)
		x.state.epochs = slices.Delete(x.state.epochs, i, i+1)
	}
	x.led.drops++
	x.last = true
	for i, t := range x.view.tables {
		if !slices.ContainsFunc(due, func(e epoch) bool { return t.hasEpoch(e.epoch) }) {
			continue
		}
		// The active table must not receive records of a later epoch with the same number.
		x.rotate = x.rotate || i == 0
		freed = append(freed, t.flushed)
		x.after = append(x.after, func() { t.kill(due) })
	}
	done := make(chan struct{})
	x.after = append(x.after, func() { x.store.discard(due, done) })
	return removed, append(freed, done)
}

// discard removes the runs of epochs from the view and passes them to the builder.
func (s *Store) discard(due []epoch, done chan struct{}) {
	var gone []*run
	s.change(func(v *view) bool {
		gone = gone[:0]
		for _, r := range v.runs {
			if slices.ContainsFunc(due, func(e epoch) bool { return e.epochRef == r.epoch }) {
				gone = append(gone, r)
			}
		}
		v.remove(gone)
		return true
	})
	s.builder.discard(gone, done)
}

// collect removes at most expireStep providers whose newest record was in an epoch before the
// given one, and reports whether there are more.
func (x *txn) collect(before uint32) (more bool, err error) {
	last, err := disk.BucketOf(x.tx, bucketLast)
	if err != nil {
		return false, err
	}
	var gone [][8]byte
	cur := last.Cursor()
	for k, _ := cur.First(); len(k) == 8 && binary.BigEndian.Uint32(k) < before; k, _ = cur.Next() {
		if len(gone) == expireStep {
			more = true
			break
		}
		gone = append(gone, [8]byte(k))
	}
	// Later writes of the batch may have been prepared with one of these providers.
	x.last = x.last || len(gone) > 0
	for _, k := range gone {
		if err := x.forget(binary.BigEndian.Uint32(k[4:])); err != nil {
			return false, err
		}
		if err := last.Delete(k[:]); err != nil {
			return false, err
		}
	}
	return more, nil
}

// forget removes a provider that no live record names.
func (x *txn) forget(number uint32) error {
	p, err := x.led.providers.loadNumber(x.tx, number)
	if p == nil || err != nil {
		return err
	}
	key := disk.U32(number)
	for _, name := range [][]byte{bucketProviders, bucketCounts} {
		b, err := disk.BucketOf(x.tx, name)
		if err != nil {
			return err
		}
		if err := b.Delete(key); err != nil {
			return err
		}
	}
	ids, err := disk.BucketOf(x.tx, bucketIDs)
	if err != nil {
		return err
	}
	x.state.providers--
	x.led.providers.forget(p)
	p.gone = true
	x.forgotten = append(x.forgotten, p)
	return ids.Delete([]byte(p.id))
}
