package runs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sort"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// run is an immutable sorted set of records of one epoch. Only removals change it (see
// builder.removeCopies).
type run struct {
	number   uint32 // never reused
	epoch    epochRef
	level    int
	records  int64
	newest   uint32 // latest expiry; no record is live at or after it
	segments []segment

	blocks  []byte // name of its bucket of blocks
	filters []byte // name of its bucket of filters
}

func newRun(number uint32, epoch epochRef, level int) *run {
	return &run{
		number: number, epoch: epoch, level: level,
		blocks: numbered(prefixBlocks, number), filters: numbered(prefixFilter, number),
	}
}

// name returns the key of a run in the runs bucket.
func (r *run) name() []byte { return disk.U32(r.number) }

// encode returns the row of a run.
func (r *run) encode() []byte {
	row := disk.NewRow(32 + 20*len(r.segments))
	row = binary.BigEndian.AppendUint32(row, r.epoch.epoch)
	row = binary.BigEndian.AppendUint32(row, r.epoch.id)
	row = append(row, byte(r.level))
	row = binary.BigEndian.AppendUint32(row, r.newest)
	row = binary.BigEndian.AppendUint16(row, uint16(len(r.segments)))
	for i := range r.segments {
		row = append(row, r.segments[i].start[:]...)
		row = binary.BigEndian.AppendUint32(row, r.segments[i].records)
	}
	return disk.Seal(bucketRuns, r.name(), row)
}

// decodeRun decodes a run's row. It does not load the filters.
func decodeRun(name, row []byte) (*run, error) {
	if len(name) != 4 {
		return nil, fmt.Errorf("%w: run named %x", ErrCorrupt, name)
	}
	payload, err := disk.Unseal(bucketRuns, name, row)
	if err != nil {
		return nil, err
	}
	d := disk.Decoder{B: payload}
	epoch := epochRef{epoch: d.U32(), id: d.U32()}
	r := newRun(binary.BigEndian.Uint32(name), epoch, int(d.Uint(1)))
	r.newest = d.U32()
	for range d.Uint(2) {
		var s segment
		copy(s.start[:], d.Bytes(len(s.start)))
		s.records = d.U32()
		r.segments = append(r.segments, s)
		r.records += int64(s.records)
	}
	return r, d.End(bucketRuns)
}

// maybe reports whether a key, given with its filter hash, may be in the run. The records of
// a key may span several segments.
func (r *run) maybe(key *recordKey, hash uint64) bool {
	i := len(r.segments) - 1
	if i > 0 {
		i = sort.Search(len(r.segments), func(i int) bool { return compareKeys(&r.segments[i].start, key) > 0 }) - 1
	}
	for ; i >= 0; i-- {
		s := &r.segments[i]
		if s.filter == nil || s.filter.Contains(hash) {
			return true
		}
		if compareKeys(&s.start, key) < 0 {
			return false
		}
	}
	return false
}

// open returns the blocks of a run in a transaction, or errGone.
func (r *run) open(tx *bbolt.Tx) (*bbolt.Bucket, error) {
	if b := tx.Bucket(r.blocks); b != nil {
		return b, nil
	}
	return nil, &goneError{r.number}
}

// many is used for an unknown number of copies. It exceeds any bound on providers, because
// their numbers have 32 bits, and the sum over all runs does not overflow an int64.
const many int64 = 1 << 40

// expiry returns the expiry of a record's copy in the run (removed: there is no copy), and an
// upper bound on the records of the key in the run.
func (r *run) expiry(tx *bbolt.Tx, key *recordKey, number uint32) (expires uint32, copies int64, err error) {
	b, err := r.open(tx)
	if err != nil {
		return 0, 0, err
	}
	id := recordID(key, number)
	k, v := b.Cursor().Seek(id[:])
	if k == nil {
		return removed, many, nil // the preceding block may contain the key
	}
	recs, err := openBlock(r.number, k, v)
	if err != nil {
		return 0, 0, r.damage(err)
	}
	at := searchBlock(recs, &id)
	if rec := recs[at*recordLen:]; bytes.Equal(rec[:idLen], id[:]) {
		expires = binary.BigEndian.Uint32(rec[idLen:])
	}
	return expires, copiesIn(recs, at, key), nil
}

// copiesIn returns how many records around index at of a block have the key, or many if
// adjacent blocks may contain more.
func copiesIn(recs []byte, at int, key *recordKey) int64 {
	n := len(recs) / recordLen
	is := func(i int) bool { return recordKey(recs[i*recordLen:i*recordLen+16]) == *key }
	low, high := at, at
	for low > 0 && is(low-1) {
		low--
	}
	for high < n && is(high) {
		high++
	}
	if low == 0 || high == n {
		return many
	}
	return int64(high - low)
}

// each calls fn for each copy of a key's records in the run.
func (r *run) each(tx *bbolt.Tx, key *recordKey, fn func(number, expires uint32)) error {
	b, err := r.open(tx)
	if err != nil {
		return err
	}
	id := recordID(key, 0)
	c := b.Cursor()
	for k, v := c.Seek(id[:]); k != nil; k, v = c.Next() {
		recs, err := openBlock(r.number, k, v)
		if err != nil {
			return r.damage(err)
		}
		at := recs[searchBlock(recs, &id)*recordLen:]
		for ; len(at) > 0; at = at[recordLen:] {
			if recordKey(at[:16]) != *key {
				return nil
			}
			fn(binary.BigEndian.Uint32(at[16:]), binary.BigEndian.Uint32(at[20:]))
		}
	}
	return nil
}

func (r *run) damage(err error) error { return fmt.Errorf("run %d: %w", r.number, err) }
