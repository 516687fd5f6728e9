package runs

import (
	"encoding/binary"
	"hash/maphash"
	"slices"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// provider is the state that the committer keeps of a provider.
type provider struct {
	id     kad.PeerID
	number uint32

	mutable
	commitNo uint64 // last commit whose records are in the stored tally
	dirty    bool   // the tally differs from the stored one

	before  *mutable  // state before the current commit, if that touched the provider
	fresh   bool      // added by the current commit
	gone    bool      // forgotten
	elder   *provider // neighbours in the order of use
	younger *provider
}

// mutable contains the fields of a provider that a commit can change.
type mutable struct {
	addrsExpire uint32 // seconds
	addrsSum    uint64 // of the stored addresses
	drops       uint64 // dropped epochs that have been removed from the tally
	tally
}

// save saves the state of the provider for restore.
func (p *provider) save() {
	m := p.mutable
	m.counts = slices.Clone(m.counts)
	p.before = &m
}

// restore reverts all changes since save.
func (p *provider) restore() { p.mutable, p.before = *p.before, nil }

// tally counts the records that name a provider. It is stored from time to time; later
// changes are in the log.
type tally struct {
	last   uint32 // epoch of the latest expiry of any of its records
	counts []epochCount
}

// epochCount counts records by the id of their epoch.
type epochCount struct {
	id uint32
	n  uint32
}

// add changes the count of an epoch.
func (t *tally) add(id uint32, delta int) {
	for i := len(t.counts) - 1; i >= 0; i-- {
		c := &t.counts[i]
		if c.id != id {
			continue
		}
		if c.n = uint32(max(int(c.n)+delta, 0)); c.n == 0 {
			t.counts = slices.Delete(t.counts, i, i+1)
		}
		return
	}
	if delta > 0 {
		t.counts = append(t.counts, epochCount{id: id, n: uint32(delta)})
	}
}

// prune removes dropped epochs.
func (t *tally) prune(s *state) {
	t.counts = slices.DeleteFunc(t.counts, func(c epochCount) bool { return !s.has(c.id) })
}

// latest returns the latest epoch in which the provider has records, or 0 if it has none.
func (t *tally) latest(s *state) (number uint32) {
	for _, e := range s.epochs {
		if slices.ContainsFunc(t.counts, func(c epochCount) bool { return c.id == e.id }) {
			number = max(number, e.epoch)
		}
	}
	return number
}

func (t *tally) total() (n int) {
	for _, c := range t.counts {
		n += int(c.n)
	}
	return n
}

// encodeCounts returns a provider's row in the counts bucket.
func (p *provider) encodeCounts(commitNo uint64) []byte {
	row := disk.NewRow(12 + 8*len(p.counts))
	row = binary.BigEndian.AppendUint64(row, commitNo)
	row = binary.BigEndian.AppendUint32(row, p.last)
	for _, c := range p.counts {
		row = binary.BigEndian.AppendUint32(row, c.id)
		row = binary.BigEndian.AppendUint32(row, c.n)
	}
	return disk.Seal(bucketCounts, disk.U32(p.number), row)
}

func decodeCounts(key, row []byte) (t tally, commitNo uint64, err error) {
	payload, err := disk.Unseal(bucketCounts, key, row)
	if err != nil {
		return t, 0, err
	}
	d := disk.Decoder{B: payload}
	commitNo, t.last = d.Uint(8), d.U32()
	for len(d.B) > 0 {
		t.counts = append(t.counts, epochCount{id: d.U32(), n: d.U32()})
	}
	return t, commitNo, d.End(bucketCounts)
}

// lastKey returns the key of a provider in the last bucket.
func lastKey(last, number uint32) []byte {
	return binary.BigEndian.AppendUint32(disk.U32(last), number)
}

// providerCache holds the most recently used providers, and all whose tally is not stored. The
// committer owns it.
type providerCache struct {
	most     int
	seed     maphash.Seed // seed of address sums
	byID     map[kad.PeerID]*provider
	byNumber map[uint32]*provider
	oldest   *provider
	newest   *provider
}

// providersCached is how many providers the committer keeps in memory: 13 MiB at about 400 bytes
// each.
const providersCached = 32 << 10

func newProviderCache(most int) *providerCache {
	return &providerCache{
		most: most, seed: maphash.MakeSeed(),
		byID: make(map[kad.PeerID]*provider), byNumber: make(map[uint32]*provider),
	}
}

// load returns a provider, or nil if it is not in the log.
func (c *providerCache) load(tx *bbolt.Tx, id kad.PeerID) (*provider, error) {
	if p := c.byID[id]; p != nil {
		c.use(p)
		return p, nil
	}
	ids, err := disk.BucketOf(tx, bucketIDs)
	if err != nil {
		return nil, err
	}
	number, err := decodeNumber(ids.Get([]byte(id)))
	if number == 0 || err != nil {
		return nil, err
	}
	return c.loadNumber(tx, number)
}

// loadNumber returns a provider, or nil if it has been removed.
func (c *providerCache) loadNumber(tx *bbolt.Tx, number uint32) (*provider, error) {
	if p := c.byNumber[number]; p != nil {
		c.use(p)
		return p, nil
	}
	f, err := readProviderRow(tx, number)
	if f == nil && err == nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	counts, err := disk.BucketOf(tx, bucketCounts)
	if err != nil {
		return nil, err
	}
	p := &provider{id: f.id, number: number}
	p.addrsExpire, p.addrsSum = f.addrsExpire, maphash.Bytes(c.seed, f.addrs)
	key := disk.U32(number)
	if p.tally, p.commitNo, err = decodeCounts(key, counts.Get(key)); err != nil {
		return nil, err
	}
	c.insert(p)
	return p, nil
}

// insert adds a provider as the most recently used.
func (c *providerCache) insert(p *provider) {
	c.byID[p.id], c.byNumber[p.number] = p, p
	c.push(p)
}

// forget removes a provider from the cache.
func (c *providerCache) forget(p *provider) {
	delete(c.byID, p.id)
	delete(c.byNumber, p.number)
	c.unlink(p)
}

func (c *providerCache) use(p *provider) {
	if c.newest != p {
		c.unlink(p)
		c.push(p)
	}
}

func (c *providerCache) push(p *provider) {
	p.elder, p.younger = c.newest, nil
	if c.newest != nil {
		c.newest.younger = p
	} else {
		c.oldest = p
	}
	c.newest = p
}

func (c *providerCache) unlink(p *provider) {
	if p.elder != nil {
		p.elder.younger = p.younger
	} else {
		c.oldest = p.younger
	}
	if p.younger != nil {
		p.younger.elder = p.elder
	} else {
		c.newest = p.elder
	}
	p.elder, p.younger = nil, nil
}

// surplus returns the least recently used providers above the limit.
func (c *providerCache) surplus() (out []*provider) {
	for p := c.oldest; p != nil && len(out) < len(c.byID)-c.most; p = p.younger {
		out = append(out, p)
	}
	return out
}

// trim removes providers above the limit, except dirty ones.
func (c *providerCache) trim() {
	for _, p := range c.surplus() {
		if !p.dirty {
			c.forget(p)
		}
	}
}

// dirtied returns the providers whose tally differs from the stored one, ordered by number.
func (c *providerCache) dirtied() (out []*provider) {
	for _, p := range c.byID {
		if p.dirty {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b *provider) int { return int(int64(a.number) - int64(b.number)) })
	return out
}

// newProvider returns a provider that is not in the log yet.
func newProvider(id kad.PeerID, number uint32) *provider {
	return &provider{id: kad.PeerID(strings.Clone(string(id))), number: number, fresh: true}
}
