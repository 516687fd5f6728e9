package storage

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/records"
)

// salvageProviders bounds the provider records taken over: they come again by
// themselves within a day, and a node that salvages for minutes is down.
const salvageProviders = 500_000

// salvager copies what can be read of a damaged file into a new one. Rows are
// believed if their checksum is right; provider records, which have none, if
// their bucket can be reached and their provider's row is whole.
type salvager struct {
	src  *pageFile
	dst  *DB
	q    *Quarantine
	seen bitmap // pages visited; trees of a damaged file may have loops

	b       *batch
	pending int
	stopped bool // the new file takes no more
}

// run salvages in the order of what could not be had again: the node's own keys,
// snapshots, the datastore, values, provider records. headless: there is no root to start from,
// or the end of the file is missing.
func (s *salvager) run(headless bool) {
	s.seen = newBitmap(s.src.pages)
	s.q.Incomplete = headless
	top := s.topBuckets()
	s.keystore(top[string(bucketKeystore)])
	s.snapshots(top[string(bucketSnapshot)])
	s.datastore(top[string(bucketDatastore)])
	s.values(top[string(bucketValues)])
	s.providers(top)
	s.commit()
	c := s.dst.counters.Load()
	s.q.Records, s.q.Published = c.Records, c.Published
	s.q.Incomplete = s.q.Incomplete || s.stopped
}

// each visits the rows below a page. Pages that cannot be read are left out and
// noted.
func (s *salvager) each(id uint64, depth int, fn func(e *element)) (whole bool) {
	if id >= s.src.pages || depth > maxDepth || !s.seen.set(id) {
		s.q.Incomplete = true
		return false
	}
	pg, err := s.src.read(id)
	if err != nil {
		s.q.Incomplete = true
		return false
	}
	return s.eachOf(pg, depth, fn)
}

func (s *salvager) eachOf(pg *page, depth int, fn func(e *element)) (whole bool) {
	elems, err := pg.elements()
	if whole = err == nil; !whole {
		s.q.Incomplete = true
	}
	for i := range elems {
		if pg.flags == flagBranch {
			whole = s.each(elems[i].child, depth+1, fn) && whole
		} else {
			fn(&elems[i])
		}
	}
	return whole
}

// eachIn visits the rows of a bucket. Nil: there is no such bucket.
func (s *salvager) eachIn(bucket *element, fn func(e *element)) (whole bool) {
	if bucket == nil {
		return false
	}
	root, inline, err := bucket.bucket()
	switch {
	case err != nil:
		s.q.Incomplete = true
		return false
	case inline != nil:
		return s.eachOf(inline, 0, fn)
	}
	return s.each(root, 0, fn)
}

func (s *salvager) topBuckets() map[string]*element {
	top := make(map[string]*element)
	s.each(s.src.root, 0, func(e *element) {
		if e.flags&flagBucket != 0 {
			top[string(e.key)] = e
		}
	})
	return top
}

// apply makes a change to the new file, many to a transaction. A change that
// fails is left out; a transaction that fails ends the work.
func (s *salvager) apply(change func(b *batch) error) {
	if s.stopped {
		return
	}
	if s.b == nil {
		b, err := s.dst.begin()
		if err != nil {
			s.stopped = true
			return
		}
		b.counters.Clean = true
		s.b = b
	}
	if err := guard(func() error { return change(s.b) }); err != nil && !isOutcome(err) {
		s.dst.rollback(s.b.tx)
		s.b, s.stopped = nil, true
		return
	}
	if s.pending++; s.pending == maxBatch {
		s.commit()
	}
}

func (s *salvager) commit() {
	if s.b == nil {
		return
	}
	b := s.b
	s.b, s.pending = nil, 0
	if err := guard(b.finish); err != nil {
		s.dst.rollback(b.tx)
		s.stopped = true
	} else if err := s.dst.finishCommit(b); err != nil {
		s.stopped = true
	}
}

// scan visits the rows of every leaf page of the file, also of pages no longer in
// use: old versions of rows, rows that were removed, and those that only a lost
// page led to.
func (s *salvager) scan(fn func(e *element)) {
	for id := uint64(2); id < s.src.pages && !s.stopped; id++ {
		if pg, err := s.src.read(id); err == nil && pg.flags == flagLeaf {
			scanPage(pg, fn)
		}
	}
}

// scanPage visits the rows of a leaf and of the inline buckets in it.
func scanPage(pg *page, fn func(e *element)) {
	elems, _ := pg.elements()
	for i := range elems {
		e := &elems[i]
		if e.flags&flagBucket == 0 {
			fn(e)
		} else if _, inline, err := e.bucket(); err == nil && inline != nil {
			scanPage(inline, fn)
		}
	}
}

// keystore takes over the published keys. If some are lost on the way to them, it
// searches the whole file: a key published once too often is better than one that
// is published no more.
func (s *salvager) keystore(bucket *element) {
	found := make(map[string]bool)
	whole := s.eachIn(bucket, func(e *element) {
		p, err := decodePublished(e.key, e.value)
		if err != nil {
			s.q.Incomplete = true
			return
		}
		found[string(e.key)] = true
		s.apply(func(b *batch) error { return b.publish([]records.Published{p}) })
	})
	if whole {
		return
	}
	newest := make(map[string]records.Published)
	s.scan(func(e *element) {
		if len(e.key) != publishedKeyLen || found[string(e.key)] {
			return
		}
		p, err := decodePublished(e.key, e.value)
		if old, ok := newest[string(e.key)]; err == nil && (!ok || !p.Last.Before(old.Last)) {
			newest[string(e.key)] = p
		}
	})
	for _, p := range newest {
		s.apply(func(b *batch) error { return b.publish([]records.Published{p}) })
	}
}

// snapshots takes over the snapshots, or if there are none the newest to be found
// anywhere.
func (s *salvager) snapshots(bucket *element) {
	take := func(row []byte) {
		s.q.Snapshots++
		s.apply(func(b *batch) error { return b.saveSnapshot(row) })
	}
	whole := s.eachIn(bucket, func(e *element) {
		s.eachIn(e, func(e *element) {
			if _, err := decodeSnapshot(e.value); err == nil {
				take(clone(e.value))
			}
		})
	})
	if whole || s.q.Snapshots > 0 {
		return
	}
	var newest []byte
	var taken time.Time
	s.scan(func(e *element) {
		if !bytes.Equal(e.key, keySnapshot) {
			return
		}
		if snap, err := decodeSnapshot(e.value); err == nil && (newest == nil || snap.Taken.After(taken)) {
			newest, taken = clone(e.value), snap.Taken
		}
	})
	if newest != nil {
		take(newest)
	}
}

// values takes over the values; if some are lost on the way, the newest version
// of each that is left in the file.
func (s *salvager) values(bucket *element) {
	take := func(e *element) bool {
		v, err := decodeValue(e.key, e.value)
		if err != nil {
			return false
		}
		s.apply(func(b *batch) error { return b.restoreValue(&v) })
		return true
	}
	whole := s.eachIn(bucket, func(e *element) {
		if !take(e) {
			s.q.Incomplete = true
		}
	})
	if !whole {
		s.scan(func(e *element) { take(e) })
	}
}

// restoreValue writes a value as it was, unless a newer one is there.
func (b *batch) restoreValue(v *records.Value) error {
	vt, err := openValues(b.tx)
	if err != nil {
		return err
	}
	old := vt.rows.Get(v.Key)
	if old != nil {
		if o, err := decodeValue(v.Key, old); err != nil || !v.Received.After(o.Received) {
			return err
		}
	}
	if err := b.dropValue(vt, v.Key, old); err != nil {
		return err
	}
	return b.writeValue(vt, v)
}

// providers takes over provider records, those that expire last first; if some are
// lost on the way, whatever looks like one.
func (s *salvager) providers(top map[string]*element) {
	peers := make(map[uint32]records.Provider)
	peer := func(e *element) {
		if p, err := decodePeer(e.key, e.value); err == nil && len(e.key) == 4 {
			peers[binary.BigEndian.Uint32(e.key)] = p
		}
	}
	if !s.eachIn(top[string(bucketProviderAddrs)], peer) {
		s.scan(peer)
	}
	var epochs []*element
	whole := s.eachIn(top[string(bucketProviders)], func(e *element) {
		if e.flags&flagBucket != 0 {
			epochs = append(epochs, e)
		}
	})
	left := salvageProviders
	take := func(e *element) {
		if left > 0 && s.provider(peers, e) {
			left--
		}
	}
	for _, e := range slices.Backward(epochs) {
		whole = s.eachIn(e, take) && whole
	}
	if !whole {
		s.scan(take)
	}
	s.q.Incomplete = s.q.Incomplete || left == 0
}

// provider takes over a record whose provider is known; what is none is passed
// over.
func (s *salvager) provider(peers map[uint32]records.Provider, e *element) bool {
	if len(e.key) != 20 || len(e.value) != 4 {
		return false
	}
	key := recordKey(e.key[:16])
	p, ok := peers[binary.BigEndian.Uint32(e.key[16:])]
	if !ok {
		s.q.Incomplete = true
		return false
	}
	p.Expires = fromSeconds(binary.BigEndian.Uint32(e.value))
	s.apply(func(b *batch) error {
		w, err := b.provider()
		if err != nil {
			return err
		}
		// The zero time: what has expired is dropped by Expire, not by a clock that
		// may be wrong just now.
		return w.add(time.Time{}, key, &p, s.dst.opts.MaxProvidersPerKey, b.full)
	})
	return true
}
