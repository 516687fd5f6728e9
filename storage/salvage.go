package storage

import (
	"bytes"
	"slices"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
	"github.com/holdfast-dht/holdfast/storage/internal/pages"
)

// salvager copies everything readable in a damaged file into a new one. It accepts a row if
// its checksum is right.
type salvager struct {
	pages *pages.Reader
	top   map[string]*pages.Element // the buckets that can be read
	dst   *DB
	q     *Quarantine

	x          *txn // the open transaction; nil: none
	pending    int  // changes in it
	incomplete bool // some rows were not copied
}

// known reports whether the file has all buckets that it must have, and no others. A damaged name
// makes a bucket another one.
func (s *salvager) known() bool {
	must, may := buckets, [][]byte{bucketAccounts, bucketDatastore, bucketDatastoreExpiry}
	found := 0
	for name := range s.top {
		is := func(b []byte) bool { return string(b) == name }
		switch {
		case slices.ContainsFunc(must, is):
			found++
		case !slices.ContainsFunc(may, is):
			return false
		}
	}
	return found == len(must)
}

// run copies the contents in order of importance: the node's own keys, which nobody else has,
// then snapshots, the datastore, values. from is the origin of the file. headless reports that
// the file has no root to start from, or that its end is missing.
func (s *salvager) run(from Origin, headless bool) {
	s.incomplete = headless || !s.known()
	if from.Node != "" {
		s.apply(func(x *txn) error { return x.noteNode(from.Node) })
	}
	s.keystore(s.top[string(bucketKeystore)])
	s.snapshots(s.top[string(bucketSnapshot)])
	s.datastore(s.top[string(bucketDatastore)])
	s.values(s.top[string(bucketValues)])
	s.commit()
	s.pages.Skip()
	c := s.dst.counters.Load()
	s.q.Records[records.KindValue], s.q.Published = c.Values, c.Published
	s.q.Incomplete = s.incomplete || s.pages.Stopped() || s.pages.Incomplete()
}

// apply makes a change to the new file, many changes per transaction. It skips a change that
// fails; a transaction that fails ends the salvage.
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
		s.x = x
	}
	err := disk.Guard(func() error { return change(s.x) })
	if err != nil && !isOutcome(err) {
		s.dst.rollback(s.x)
		s.x = nil
		s.pages.Stop()
		return
	}
	s.incomplete = s.incomplete || err != nil
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

// keystore copies the published keys. If some cannot be reached through the tree, it searches
// the whole file: it is better to publish a removed key again than to stop publishing a
// current one.
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

// snapshots copies the snapshots. If it cannot reach any, it copies the newest one found
// anywhere in the file.
func (s *salvager) snapshots(bucket *pages.Element) {
	take := func(row []byte) {
		s.q.Snapshots++
		s.apply(func(x *txn) error { return x.saveSnapshot(row) })
	}
	whole := s.pages.Rows(bucket, func(e *pages.Element) {
		s.pages.Rows(e, func(e *pages.Element) {
			if _, err := decodeSnapshot(e.Value); err != nil {
				s.incomplete = true
				return
			}
			take(clone(e.Value))
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

// values copies the values. If some cannot be reached, it copies the newest version of each
// one found anywhere in the file.
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

// restoreValue writes a value unchanged, unless a newer one is stored.
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
	return x.writeValue(vt, v, encodeValue(v), charge{}) // not counted until it is stored again
}
