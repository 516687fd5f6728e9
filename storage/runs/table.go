package runs

import (
	"cmp"
	"hash/maphash"
	"math/bits"
	"slices"
	"sync/atomic"
)

// Expiries that are none.
const (
	removed = 0 // the record was removed: older copies do not count
	unborn  = 1 // the record is not durable yet: readers look further
)

// table holds the newest state of the records that one generation of the log
// names. One goroutine, the committer, writes; anybody reads without locks. A
// table that is no longer the active one does not change.
//
// Heads are chosen by a hash with a seed of this process, so that nobody can
// announce keys that share a chain.
type table struct {
	gen     uint64
	flushed chan struct{} // closed when its records are in runs
	seed    maphash.Seed
	heads   []uint32 // atomic: index of a chain's first entry, plus one
	entries []entry
	count   atomic.Int64 // records that readers see

	// Of the committer, and of the builder once the table is not active.
	n        int
	epochs   []epochRef // of all expiries it has ever held
	removals []removal  // records whose copies in older runs are to be removed
}

type entry struct {
	key     recordKey
	number  uint32
	expires uint32 // atomic: as readers see it
	staged  uint32 // of the committer: as it will be once durable
	next    uint32 // index of the chain's next entry, plus one; never changes
}

// epochRef names an epoch and which of the epochs of that number it is.
type epochRef struct{ epoch, id uint32 }

type removal struct {
	key    recordKey
	number uint32
}

func newTable(gen uint64, size int) *table {
	heads := 1 << bits.Len(uint(size-1))
	return &table{
		gen: gen, flushed: make(chan struct{}), seed: maphash.MakeSeed(),
		heads: make([]uint32, heads), entries: make([]entry, size),
	}
}

func (t *table) head(key *recordKey) *uint32 {
	return &t.heads[maphash.Bytes(t.seed, key[:])&uint64(len(t.heads)-1)]
}

// first returns the index, plus one, of the first entry that may have key; the
// others follow by next.
func (t *table) first(key *recordKey) uint32 { return atomic.LoadUint32(t.head(key)) }

// find returns the entry of a record, or nil.
func (t *table) find(key *recordKey, number uint32) *entry {
	for i := t.first(key); i != 0; {
		e := &t.entries[i-1]
		if e.number == number && e.key == *key {
			return e
		}
		i = e.next
	}
	return nil
}

// room reports whether n more entries fit.
func (t *table) room(n int) bool { return t.n+n <= len(t.entries) }

// stage notes what a record's expiry will be. Readers do not see it before
// publish. The caller has asked for room.
func (t *table) stage(key *recordKey, number, expires uint32) *entry {
	if e := t.find(key, number); e != nil {
		e.staged = expires
		return e
	}
	e := &t.entries[t.n]
	t.n++
	head := t.head(key)
	*e = entry{key: *key, number: number, expires: unborn, staged: expires, next: atomic.LoadUint32(head)}
	atomic.StoreUint32(head, uint32(t.n))
	return e
}

// publish shows readers what was staged, and returns by how many records there
// are more.
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

// undo takes back what was staged.
func (e *entry) undo() { e.staged = e.expires }

// seen returns the expiry as readers see it.
func (e *entry) seen() uint32 { return atomic.LoadUint32(&e.expires) }

// noteEpoch adds an epoch to those the table holds.
func (t *table) noteEpoch(r epochRef) {
	if n := len(t.epochs); n > 0 && t.epochs[n-1] == r {
		return
	}
	if i := slices.Index(t.epochs, r); i >= 0 { // the last is the likeliest to come again
		t.epochs[i], t.epochs[len(t.epochs)-1] = t.epochs[len(t.epochs)-1], r
		return
	}
	t.epochs = append(t.epochs, r)
}

func (t *table) hasEpoch(epoch uint32) bool {
	return slices.ContainsFunc(t.epochs, func(r epochRef) bool { return r.epoch == epoch })
}

// empty reports whether nothing in the table needs a run.
func (t *table) empty() bool { return t.n == 0 }

// sorted returns the records that are to be written, by epoch, key and number.
func (t *table) sorted() []record {
	out := make([]record, 0, t.n)
	for i := range t.entries[:t.n] {
		e := &t.entries[i]
		if expires := e.seen(); expires > unborn {
			out = append(out, record{key: e.key, number: e.number, expires: expires})
		}
	}
	slices.SortFunc(out, func(a, b record) int {
		if c := cmp.Compare(epochOf(a.expires), epochOf(b.expires)); c != 0 {
			return c
		}
		return compareIDs(&a, &b)
	})
	return out
}

// compareIDs orders records by key and number.
func compareIDs(a, b *record) int {
	if c := compareKeys(&a.key, &b.key); c != 0 {
		return c
	}
	return cmp.Compare(a.number, b.number)
}
