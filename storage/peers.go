package storage

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// peerTable is the table of providers in one transaction: each peer ID with its
// addresses is stored once, and records name it by a number that is never used
// again. A provider goes when the epoch of its newest record has gone, so that no
// references need counting.
type peerTable struct {
	ids   *bbolt.Bucket // peer ID -> number, last
	addrs *bbolt.Bucket // number -> sealed addresses; its sequence is the last number
	last  *bbolt.Bucket // last | number -> nothing
}

// peerRef is a row of provider_ids.
type peerRef struct {
	number uint32
	last   uint32 // epoch of the newest record, at least
}

func openPeers(tx *bbolt.Tx) (t peerTable, err error) {
	if t.ids, err = bucketOf(tx, bucketProviderIDs); err != nil {
		return t, err
	}
	if t.addrs, err = bucketOf(tx, bucketProviderAddrs); err != nil {
		return t, err
	}
	t.last, err = bucketOf(tx, bucketProviderLast)
	return t, err
}

func (r peerRef) encode() []byte { return append(u32(r.number), u32(r.last)...) }

func decodePeerRef(row []byte) (peerRef, error) {
	d := decoder{b: row}
	r := peerRef{number: uint32(d.uint(4)), last: uint32(d.uint(4))}
	return r, d.end(bucketProviderIDs)
}

// lastKey is the key of a provider in provider_last.
func (r peerRef) lastKey() []byte { return append(u32(r.last), u32(r.number)...) }

// find returns the row of a peer, if it has one.
func (t peerTable) find(id kad.PeerID) (peerRef, bool, error) {
	row := t.ids.Get([]byte(id))
	if row == nil {
		return peerRef{}, false, nil
	}
	r, err := decodePeerRef(row)
	return r, err == nil, err
}

// load returns the ID and the addresses of a provider, live or not, in fresh
// memory.
func (t peerTable) load(number uint32) (records.Provider, error) {
	key := u32(number)
	return decodePeer(key, t.addrs.Get(key))
}

func encodePeer(key []byte, p *records.Provider) []byte {
	row := newRow(4 + 1 + len(p.ID) + 64*len(p.Addrs))
	row = append(row, u32(seconds(p.AddrsExpire))...)
	row = append(row, byte(len(p.ID)))
	row = append(row, p.ID...)
	return seal(bucketProviderAddrs, key, appendAddrs(row, p.Addrs))
}

func decodePeer(key, row []byte) (records.Provider, error) {
	payload, err := unseal(bucketProviderAddrs, key, row)
	if err != nil {
		return records.Provider{}, err
	}
	d := decoder{b: payload}
	p := records.Provider{AddrsExpire: fromSeconds(uint32(d.uint(4)))}
	p.ID = kad.PeerID(d.bytes(d.byte()))
	p.Addrs = d.addrs()
	return p, d.end(bucketProviderAddrs)
}

// put makes known that p has a record in epoch last and what its addresses are.
// ref is its row; a zero number: it has none yet.
func (t peerTable) put(now time.Time, ref peerRef, p *records.Provider, last uint32, c *counters) (peerRef, error) {
	if ref.number == 0 {
		return t.intern(p, last, c)
	}
	if last > ref.last {
		if err := t.last.Delete(ref.lastKey()); err != nil {
			return ref, err
		}
		ref.last = last
		if err := t.index(p.ID, ref); err != nil {
			return ref, err
		}
	}
	key := u32(ref.number)
	if len(p.Addrs) == 0 || !t.stale(now, key, p) {
		return ref, nil
	}
	return ref, t.addrs.Put(key, encodePeer(key, p))
}

// intern gives a new peer its number.
func (t peerTable) intern(p *records.Provider, last uint32, c *counters) (peerRef, error) {
	n, err := t.addrs.NextSequence()
	if err != nil {
		return peerRef{}, err
	}
	if n > math.MaxUint32 {
		return peerRef{}, fmt.Errorf("%w: provider numbers are used up", ErrFull)
	}
	c.Providers++
	ref := peerRef{number: uint32(n), last: last}
	if err := t.index(p.ID, ref); err != nil {
		return ref, err
	}
	key := u32(ref.number)
	return ref, t.addrs.Put(key, encodePeer(key, p))
}

// index writes a peer's row and its place in the order of collection.
func (t peerTable) index(id kad.PeerID, ref peerRef) error {
	if err := t.ids.Put([]byte(id), ref.encode()); err != nil {
		return err
	}
	return t.last.Put(ref.lastKey(), nil)
}

// stale reports whether the stored addresses should be rewritten as p's: they are
// others, or less than half of their time is left. Rewriting them at every advert
// would cost a page each.
func (t peerTable) stale(now time.Time, key []byte, p *records.Provider) bool {
	old, err := decodePeer(key, t.addrs.Get(key))
	if err != nil || old.AddrsExpire.Before(now.Add(records.ProviderAddrTTL/2)) {
		return true
	}
	return !slices.EqualFunc(old.Addrs, p.Addrs, slices.Equal)
}

// collect removes providers whose newest record was in an epoch before the given
// one, at most n, and tells whether there are more.
func (t peerTable) collect(before uint32, n int, c *counters) (more bool, err error) {
	gone, more := t.gone(before, n)
	for _, ref := range gone {
		key := u32(ref.number)
		if p, err := decodePeer(key, t.addrs.Get(key)); err == nil {
			if err := t.ids.Delete([]byte(p.ID)); err != nil {
				return false, err
			}
			c.Providers--
		}
		if err := firstErr(t.addrs.Delete(key), t.last.Delete(ref.lastKey())); err != nil {
			return false, err
		}
	}
	return more, nil
}

// gone lists the first n providers whose last epoch is before the given one.
func (t peerTable) gone(before uint32, n int) (gone []peerRef, more bool) {
	cur := t.last.Cursor()
	for k, _ := cur.First(); len(k) == 8; k, _ = cur.Next() {
		ref := peerRef{last: binary.BigEndian.Uint32(k), number: binary.BigEndian.Uint32(k[4:])}
		if ref.last >= before {
			break
		}
		if len(gone) == n {
			return gone, true
		}
		gone = append(gone, ref)
	}
	return gone, false
}
