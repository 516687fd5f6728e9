package storage

import (
	"bytes"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
	"github.com/holdfast-dht/holdfast/storage/internal/pages"
)

// salvager copies what can be read of a damaged file into a new one. Rows are
// believed if their checksum is right.
type salvager struct {
	pages *pages.Reader
	dst   *DB
	q     *Quarantine

	x          *txn // open; nil: none
	pending    int  // changes in it
	incomplete bool // something was not taken over
}

// run salvages in the order of what could not be had again: the node's own keys,
// snapshots, the datastore, values. headless: there is no root to start from, or
// the end of the file is missing.
func (s *salvager) run(headless bool) {
	s.incomplete = headless
	top, _ := s.pages.Buckets()
	s.keystore(top[string(bucketKeystore)])
	s.snapshots(top[string(bucketSnapshot)])
	s.datastore(top[string(bucketDatastore)])
	s.values(top[string(bucketValues)])
	s.commit()
	s.pages.Skip()
	c := s.dst.counters.Load()
	s.q.Records[records.KindValue], s.q.Published = c.Values, c.Published
	s.q.Incomplete = s.incomplete || s.pages.Stopped() || s.pages.Incomplete()
}

// apply makes a change to the new file, many to a transaction. A change that
// fails is left out; a transaction that fails ends the work.
func (s *salvager) apply(change func(x *txn) error) {
	if s.pages.Stopped() {
		return
	}
	if s.x == nil {
		x, err := s.dst.begin()
		if err != nil {
			s.pages.Stop()
			return
		}
		x.counters.Clean = true
		s.x = x
	}
	if err := disk.Guard(func() error { return change(s.x) }); err != nil && !isOutcome(err) {
		s.dst.rollback(s.x)
		s.x = nil
		s.pages.Stop()
		return
	}
	if s.pending++; s.pending == maxBatch {
		s.commit()
	}
}

func (s *salvager) commit() {
	if s.x == nil {
		return
	}
	x := s.x
	s.x, s.pending = nil, 0
	if err := disk.Guard(x.finish); err != nil {
		s.dst.rollback(x)
		s.pages.Stop()
	} else if err := s.dst.finishCommit(x); err != nil {
		s.pages.Stop()
	}
}

// keystore takes over the published keys. If some are lost on the way to them, it
// searches the whole file: a key published once too often is better than one that
// is published no more.
func (s *salvager) keystore(bucket *pages.Element) {
	found := make(map[string]bool)
	whole := s.pages.Rows(bucket, func(e *pages.Element) {
		p, err := decodePublished(e.Key, e.Value)
		if err != nil {
			s.incomplete = true
			return
		}
		found[string(e.Key)] = true
		s.apply(func(x *txn) error { return x.publish([]records.Published{p}) })
	})
	if whole {
		return
	}
	newest := make(map[string]records.Published)
	s.pages.Search("published keys", func(e *pages.Element) {
		if len(e.Key) != publishedKeyLen || found[string(e.Key)] {
			return
		}
		p, err := decodePublished(e.Key, e.Value)
		if old, ok := newest[string(e.Key)]; err == nil && (!ok || !p.Last.Before(old.Last)) {
			newest[string(e.Key)] = p
		}
	})
	for _, p := range newest {
		s.apply(func(x *txn) error { return x.publish([]records.Published{p}) })
	}
}

// snapshots takes over the snapshots, or if there are none the newest to be found
// anywhere.
func (s *salvager) snapshots(bucket *pages.Element) {
	take := func(row []byte) {
		s.q.Snapshots++
		s.apply(func(x *txn) error { return x.saveSnapshot(row) })
	}
	whole := s.pages.Rows(bucket, func(e *pages.Element) {
		s.pages.Rows(e, func(e *pages.Element) {
			if _, err := decodeSnapshot(e.Value); err == nil {
				take(clone(e.Value))
			}
		})
	})
	if whole || s.q.Snapshots > 0 {
		return
	}
	var newest []byte
	var taken time.Time
	s.pages.Search("snapshots", func(e *pages.Element) {
		if !bytes.Equal(e.Key, keySnapshot) {
			return
		}
		if snap, err := decodeSnapshot(e.Value); err == nil && (newest == nil || snap.Taken.After(taken)) {
			newest, taken = clone(e.Value), snap.Taken
		}
	})
	if newest != nil {
		take(newest)
	}
}

// values takes over the values; if some are lost on the way, the newest version
// of each that is left in the file.
func (s *salvager) values(bucket *pages.Element) {
	take := func(e *pages.Element) bool {
		v, err := decodeValue(e.Key, e.Value)
		if err != nil {
			return false
		}
		s.apply(func(x *txn) error { return x.restoreValue(&v) })
		return true
	}
	whole := s.pages.Rows(bucket, func(e *pages.Element) {
		if !take(e) {
			s.incomplete = true
		}
	})
	if !whole {
		s.pages.Search("values", func(e *pages.Element) { take(e) })
	}
}

// restoreValue writes a value as it was, unless a newer one is there.
func (x *txn) restoreValue(v *records.Value) error {
	vt, err := openValues(x.tx)
	if err != nil {
		return err
	}
	old := vt.rows.Get(v.Key)
	if old != nil {
		if o, err := decodeValue(v.Key, old); err != nil || !v.Received.After(o.Received) {
			return err
		}
	}
	if err := x.dropValue(vt, v.Key, old); err != nil {
		return err
	}
	return x.writeValue(vt, v, encodeValue(v), charge{}) // counted for nothing until it is stored again
}
