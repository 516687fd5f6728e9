package runs

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
	"sync/atomic"
)

// Special expiries.
const (
	removed = 0 // the record was removed; older copies do not count
	unborn  = 1 // the record is not durable yet; readers ignore the entry
)

// table holds the newest state of the records in one generation of the log. Only the
// committer writes it; any goroutine reads it without locks. A table that is no longer active
// does not change.
//
// Heads are selected by hashSeed.hash, so that an attacker cannot choose keys that share a
// chain.
type table struct {
	gen     uint32
	flushed chan struct{} // closed when its records are in runs
	heads   []uint32      // atomic: index of the first entry of a chain, plus one
	entries []entry
	count   atomic.Int64               // records visible to readers
	dead    atomic.Pointer[[]epochRef] // dropped epochs; their records count as removed

	// Owned by the committer, and by the builder once the table is not active.
	n        int
	epochs   []epochRef // epochs of all expiries it has ever contained
	removals []removal  // records whose copies in older runs must be removed
}

type entry struct {
	key     recordKey
	number  uint32
	expires uint32 // atomic: the expiry visible to readers
	staged  uint32 // committer only: the expiry once durable
	next    uint32 // index of the next entry in the chain, plus one; never changes
}

// epochRef names an epoch by number, and by id among the epochs with the same number.
type epochRef struct{ epoch, id uint32 }

type removal struct {
	key    recordKey
	number uint32
}

func newTable(gen uint32, size int) *table {
	heads := 1 << bits.Len(uint(size-1))
	return &table{
		gen: gen, flushed: make(chan struct{}),
		heads: make([]uint32, heads), entries: make([]entry, size),
	}
}

func (t *table) head(hash uint64) *uint32 { return &t.heads[hash&uint64(len(t.heads)-1)] }

// first returns the index, plus one, of the first entry that may have the key with this hash.
// The following entries are linked by next.
func (t *table) first(hash uint64) uint32 { return atomic.LoadUint32(t.head(hash)) }

// find returns the entry of a record, or nil.
func (t *table) find(hash uint64, key *recordKey, number uint32) *entry {
	for i := t.first(hash); i != 0; {
		e := &t.entries[i-1]
		if e.number == number && e.key == *key {
			return e
		}
		i = e.next
	}
	return nil
}

// fits reports whether n more entries fit.
func (t *table) fits(n int) bool { return t.n+n <= len(t.entries) }

// stage sets the future expiry of a record. Readers do not see it before publish. The caller
// has checked fits.
func (t *table) stage(hash uint64, key *recordKey, number, expires uint32) *entry {
	if e := t.find(hash, key, number); e != nil {
		e.staged = expires
		return e
	}
	e := &t.entries[t.n]
	t.n++
	head := t.head(hash)
	*e = entry{key: *key, number: number, expires: unborn, staged: expires, next: atomic.LoadUint32(head)}
	atomic.StoreUint32(head, uint32(t.n))
	return e
}

// publish makes the staged expiry visible to readers and returns the change in the number of
// records.
func (e *entry) publish() (more int) {
	if e.expires > unborn {
		more--
	}
	if e.staged > unborn {
		more++
	}
	atomic.StoreUint32(&e.expires, e.staged)
	return more
}

// undo discards the staged expiry.
func (e *entry) undo() { e.staged = e.expires }

// seen returns the expiry visible to readers.
func (e *entry) seen() uint32 { return atomic.LoadUint32(&e.expires) }

// noteEpoch adds an epoch to the epochs of the table.
func (t *table) noteEpoch(r epochRef) {
	if n := len(t.epochs); n > 0 && t.epochs[n-1] == r {
		return
	}
	if i := slices.Index(t.epochs, r); i >= 0 { // the last one is the most likely to repeat
		t.epochs[i], t.epochs[len(t.epochs)-1] = t.epochs[len(t.epochs)-1], r
		return
	}
	t.epochs = append(t.epochs, r)
}

// kill makes the records of dropped epochs count as removed. Older copies of them are not in
// any later epoch, so they may be hidden. The committer calls it; afterwards the table
// receives no records of epochs with these numbers.
func (t *table) kill(due []epoch) {
	var dead []epochRef
	if old := t.dead.Load(); old != nil {
		dead = slices.Clone(*old)
	}
	for _, e := range due {
		dead = append(dead, e.epochRef)
	}
	t.dead.Store(&dead)
}

// alive returns removed if the epoch of the expiry was dropped, otherwise the expiry.
func (t *table) alive(expires uint32) uint32 {
	if t.isDead(epochOf(expires)) {
		return removed
	}
	return expires
}

func (t *table) isDead(epoch uint32) bool {
	dead := t.dead.Load()
	return dead != nil && hasNumber(*dead, epoch)
}

func hasNumber(refs []epochRef, epoch uint32) bool {
	return slices.ContainsFunc(refs, func(r epochRef) bool { return r.epoch == epoch })
}

func (t *table) hasEpoch(epoch uint32) bool { return hasNumber(t.epochs, epoch) }

// empty reports whether the table has no entries to write out.
func (t *table) empty() bool { return t.n == 0 }

// bucketed is the average number of records per bucket in sorted.
const bucketed = 4

// sorted appends to dst[:0] the records to be written, ordered by epoch, key and number. It
// first distributes them into buckets by the prefix of their keys, which are uniform. If an
// attacker announces keys that are not uniform, sorting a bucket takes longer.
func (t *table) sorted(dst []record) []record {
	bits := max(bits.Len(uint(t.n/bucketed)), 1)
	rank := make(map[uint32]int, len(t.epochs))
	epochs := slices.SortedFunc(slices.Values(t.epochs), func(a, b epochRef) int { return cmp.Compare(a.epoch, b.epoch) })
	for i, r := range epochs {
		if !t.isDead(r.epoch) {
			rank[r.epoch] = i
		}
	}
	starts := make([]uint32, len(t.epochs)<<bits+1)
	for i := range t.entries[:t.n] {
		if b, ok := t.entries[i].bucket(rank, bits); ok {
			starts[b+1]++
		}
	}
	for i := 1; i < len(starts); i++ {
		starts[i] += starts[i-1]
	}
	n := int(starts[len(starts)-1])
	dst = slices.Grow(dst[:0], n)[:n]
	for i := range t.entries[:t.n] {
		if b, ok := t.entries[i].bucket(rank, bits); ok {
			e := &t.entries[i]
			dst[starts[b]] = record{key: e.key, number: e.number, expires: e.seen()}
			starts[b]++ // finally the start of the next bucket
		}
	}
	low := uint32(0)
	for _, high := range starts[:len(starts)-1] {
		slices.SortFunc(dst[low:high], func(a, b record) int { return compareIDs(&a, &b) })
		low = high
	}
	return dst
}

// bucket returns the bucket of an entry in sorted. ok is false if the entry must not be
// written.
func (e *entry) bucket(rank map[uint32]int, bits int) (b int, ok bool) {
	expires := e.seen()
	if expires <= unborn {
		return 0, false
	}
	r, ok := rank[epochOf(expires)]
	return r<<bits | int(binary.BigEndian.Uint64(e.key[:])>>(64-bits)), ok
}

// compareIDs orders records by key and number.
func compareIDs(a, b *record) int {
	if c := compareKeys(&a.key, &b.key); c != 0 {
		return c
	}
	return cmp.Compare(a.number, b.number)
}
