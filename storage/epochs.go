package storage

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// epochSeconds is the span of expiry times that share a bucket. Shorter drops
// sooner, longer looks into fewer buckets: 48 h of records are 17 of them.
const epochSeconds = 3 * 60 * 60

// recordRow is the length of a provider record's row, key and value.
const recordRow = 16 + 4 + 4

// recordBytes estimates what a stored copy takes up.
const recordBytes = recordRow + rowOverhead

func epochOf(expires uint32) uint32 { return expires / epochSeconds }

// epochStore keeps provider records in a bucket per epoch of expiry. A refresh
// adds a copy to a later epoch and touches no other; the old copy is superseded
// and goes with its epoch.
type epochStore struct{}

var _ providerStore = epochStore{}

// epochStats are what provider_epochs holds of an epoch.
type epochStats struct {
	copies     int64  // rows of the epoch's bucket
	superseded int64  // of them: a later epoch has the same record
	newest     uint32 // latest expiry; nothing lives at or after
}

func (s *epochStats) encode() []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(s.copies))
	b = binary.BigEndian.AppendUint64(b, uint64(s.superseded))
	return binary.BigEndian.AppendUint32(b, s.newest)
}

func decodeEpochStats(row []byte) (epochStats, error) {
	d := decoder{b: row}
	s := epochStats{copies: int64(d.uint(8)), superseded: int64(d.uint(8)), newest: uint32(d.uint(4))}
	return s, d.end(bucketEpochs)
}

// rowKeyOf returns the key of a record's row: record key, provider number.
func rowKeyOf(key recordKey, number uint32) []byte {
	return binary.BigEndian.AppendUint32(append(make([]byte, 0, 20), key[:]...), number)
}

// eachEpoch calls fn with the epochs' buckets, newest first, until it returns
// false.
func eachEpoch(providers *bbolt.Bucket, fn func(epoch uint32, rows *bbolt.Bucket) bool) {
	c := providers.Cursor()
	for k, _ := c.Last(); k != nil; k, _ = c.Prev() {
		if rows := providers.Bucket(k); rows != nil && len(k) == 4 && !fn(binary.BigEndian.Uint32(k), rows) {
			return
		}
	}
}

// appendCopies appends the copies of a key that one epoch holds.
func appendCopies(dst []provider, rows *bbolt.Bucket, key recordKey, now uint32) []provider {
	c := rows.Cursor()
	for k, v := c.Seek(key[:]); len(k) == 20 && recordKey(k[:16]) == key; k, v = c.Next() {
		if len(v) != 4 {
			continue
		}
		if e := binary.BigEndian.Uint32(v); e > now {
			dst = append(dst, provider{number: binary.BigEndian.Uint32(k[16:]), expires: e})
		}
	}
	return dst
}

// liveProviders merges the epochs: each live provider of key once, with its
// latest expiry, in order of their numbers.
func liveProviders(providers *bbolt.Bucket, key recordKey, now uint32) []provider {
	var live []provider
	eachEpoch(providers, func(epoch uint32, rows *bbolt.Bucket) bool {
		live = appendCopies(live, rows, key, now)
		return epoch > epochOf(now) // older epochs hold nothing live
	})
	if len(live) < 2 {
		return live
	}
	slices.SortFunc(live, func(a, b provider) int {
		return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(b.expires, a.expires))
	})
	return slices.CompactFunc(live, func(a, b provider) bool { return a.number == b.number })
}

// lookup implements providerStore.
func (epochStore) lookup(tx *bbolt.Tx, now time.Time, key recordKey) ([]provider, error) {
	providers, err := bucketOf(tx, bucketProviders)
	if err != nil {
		return nil, err
	}
	return liveProviders(providers, key, seconds(now)), nil
}

// has implements providerStore.
func (epochStore) has(tx *bbolt.Tx, now time.Time, key recordKey, id kad.PeerID) (bool, error) {
	peers, err := openPeers(tx)
	if err != nil {
		return false, err
	}
	p, ok, err := peers.find(id)
	if !ok || err != nil {
		return false, err
	}
	providers, err := bucketOf(tx, bucketProviders)
	if err != nil {
		return false, err
	}
	expires, _ := newestCopy(providers, key, p)
	return expires > seconds(now), nil
}

// newestCopy returns the expiry and the epoch of the newest copy of a record; 0:
// there is none.
func newestCopy(providers *bbolt.Bucket, key recordKey, p peerRef) (expires, epoch uint32) {
	row := rowKeyOf(key, p.number)
	eachEpoch(providers, func(e uint32, rows *bbolt.Bucket) bool {
		if e > p.last {
			return true // the provider has nothing there
		}
		if v := rows.Get(row); len(v) == 4 {
			expires, epoch = binary.BigEndian.Uint32(v), e
			return false
		}
		return true
	})
	return expires, epoch
}

// resolve implements providerStore.
func (epochStore) resolve(tx *bbolt.Tx, now time.Time, p provider) (records.Provider, error) {
	peers, err := openPeers(tx)
	if err != nil {
		return records.Provider{}, err
	}
	out, err := peers.load(p.number)
	if err != nil {
		return records.Provider{}, err
	}
	out.Expires = fromSeconds(p.expires)
	if len(out.Addrs) == 0 || !now.Before(out.AddrsExpire) {
		out.Addrs, out.AddrsExpire = nil, time.Time{}
	}
	return out, nil
}

// writer implements providerStore.
func (epochStore) writer(tx *bbolt.Tx, c *counters) (providerWriter, error) {
	w := &epochWriter{c: c, open: make(map[uint32]*openEpoch)}
	var err error
	if w.providers, err = bucketOf(tx, bucketProviders); err != nil {
		return nil, err
	}
	if w.stats, err = bucketOf(tx, bucketEpochs); err != nil {
		return nil, err
	}
	w.peers, err = openPeers(tx)
	return w, err
}

// epochWriter is the epochs in one write transaction.
type epochWriter struct {
	c         *counters
	providers *bbolt.Bucket
	stats     *bbolt.Bucket
	peers     peerTable
	open      map[uint32]*openEpoch // touched in this transaction
}

// openEpoch is an epoch with its stats as they will be written by flush.
type openEpoch struct {
	rows *bbolt.Bucket
	epochStats
}

// epoch returns an epoch, made if there is none.
func (w *epochWriter) epoch(epoch uint32) (*openEpoch, error) {
	if e := w.open[epoch]; e != nil {
		return e, nil
	}
	name := u32(epoch)
	e := &openEpoch{rows: w.providers.Bucket(name)}
	row := w.stats.Get(name)
	if (e.rows == nil) != (row == nil) {
		return nil, fmt.Errorf("%w: epoch %d has half its rows", ErrCorrupt, epoch)
	}
	var err error
	if e.rows == nil {
		e.rows, err = w.providers.CreateBucket(name)
	} else {
		e.epochStats, err = decodeEpochStats(row)
	}
	if err != nil {
		return nil, err
	}
	w.open[epoch] = e
	return e, nil
}

// flush implements providerWriter.
func (w *epochWriter) flush() error {
	for epoch, e := range w.open {
		if err := w.stats.Put(u32(epoch), e.encode()); err != nil {
			return err
		}
	}
	return nil
}

// add implements providerWriter.
func (w *epochWriter) add(now time.Time, key recordKey, p *records.Provider, most int, full bool) error {
	expires := seconds(p.Expires)
	if expires <= seconds(now) {
		return records.ErrExpired // less than a second was left
	}
	ref, interned, err := w.peers.find(p.ID)
	if err != nil {
		return err
	}
	var old, oldEpoch uint32
	if interned {
		old, oldEpoch = newestCopy(w.providers, key, ref)
	}
	if old <= seconds(now) {
		if full {
			return ErrFull
		}
		if len(liveProviders(w.providers, key, seconds(now))) >= most {
			return records.ErrQuota
		}
	}
	if ref, err = w.peers.put(now, ref, p, epochOf(max(expires, old)), w.c); err != nil {
		return err
	}
	if expires <= old {
		return nil
	}
	return w.put(key, ref.number, expires, old, oldEpoch)
}

// put writes a copy of a record whose newest copy, in oldEpoch, expires at old; 0:
// it has none.
func (w *epochWriter) put(key recordKey, number, expires, old, oldEpoch uint32) error {
	e, err := w.epoch(epochOf(expires))
	if err != nil {
		return err
	}
	if err := e.rows.Put(rowKeyOf(key, number), u32(expires)); err != nil {
		return err
	}
	e.newest = max(e.newest, expires)
	switch {
	case old == 0:
		w.c.Records[records.KindProvider]++
	case oldEpoch == epochOf(expires):
		return nil // the row was replaced
	default:
		prev, err := w.epoch(oldEpoch)
		if err != nil {
			return err
		}
		prev.superseded++
	}
	e.copies++
	w.c.Bytes[records.KindProvider] += recordBytes
	return nil
}

// remove implements providerWriter.
func (w *epochWriter) remove(now time.Time, key recordKey, id kad.PeerID) error {
	ref, ok, err := w.peers.find(id)
	if err != nil || !ok {
		return firstErr(err, records.ErrNotFound)
	}
	newest, _ := newestCopy(w.providers, key, ref)
	if newest <= seconds(now) {
		return records.ErrNotFound
	}
	row := rowKeyOf(key, ref.number)
	var holders []uint32
	eachEpoch(w.providers, func(epoch uint32, rows *bbolt.Bucket) bool {
		if rows.Get(row) != nil {
			holders = append(holders, epoch)
		}
		return true
	})
	for i, epoch := range holders {
		e, err := w.epoch(epoch)
		if err != nil {
			return err
		}
		if err := e.rows.Delete(row); err != nil {
			return err
		}
		e.copies--
		if i > 0 {
			e.superseded--
		}
		w.c.Bytes[records.KindProvider] -= recordBytes
	}
	w.c.Records[records.KindProvider]--
	return nil
}

// expire implements providerWriter: one epoch, or the providers that nothing
// names any more.
func (w *epochWriter) expire(limit time.Time, n int) (removed int64, more bool, err error) {
	c := w.stats.Cursor()
	for k, row := c.First(); len(k) == 4; k, row = c.Next() {
		s, err := decodeEpochStats(row)
		if err != nil {
			return 0, false, err
		}
		epoch := binary.BigEndian.Uint32(k)
		if e := w.open[epoch]; e != nil {
			s = e.epochStats
		}
		if s.newest <= seconds(limit) {
			return s.copies - s.superseded, true, w.drop(epoch, s)
		}
		if epoch > epochOf(seconds(limit)) {
			break
		}
	}
	more, err = w.peers.collect(epochOf(seconds(limit)), n, w.c)
	return 0, more, err
}

// drop removes an epoch whole.
func (w *epochWriter) drop(epoch uint32, s epochStats) error {
	name := u32(epoch)
	delete(w.open, epoch)
	if err := w.providers.DeleteBucket(name); err != nil {
		return err
	}
	w.c.Records[records.KindProvider] -= s.copies - s.superseded
	w.c.Bytes[records.KindProvider] -= recordBytes * s.copies
	return w.stats.Delete(name)
}

func firstErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
