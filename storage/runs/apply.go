package runs

import (
	"fmt"
	"hash/maphash"
	"math"
	"runtime"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// parallel is from how many writes on a batch is prepared by all processors.
const parallel = 512

// prepare finds out what the runs say about the records to be written. The view
// it does so with is the commit's: between two views records move from tables to
// runs.
func (c *commit) prepare(ops []op) error {
	c.led.work = append(c.led.work[:0], make([]work, len(ops))...)
	for i := range ops {
		o, w := &ops[i], &c.led.work[i]
		if o.call != nil {
			continue
		}
		w.hash = c.seed.hash(&o.key)
		if i > 0 && o.id == ops[i-1].id { // announcements come in bursts
			w.peer = c.led.work[i-1].peer
			continue
		}
		var err error
		if w.peer, err = c.led.peers.byPeerID(c.tx, o.id); err != nil {
			return err
		}
	}
	return c.retry(func(v *view) error {
		c.view = v
		return c.prepareRuns(ops, c.led.work)
	})
}

// prepareRuns fills in what depends on runs, a share of it on each processor.
func (c *commit) prepareRuns(ops []op, work []work) error {
	n := 1
	if len(ops) >= parallel {
		n = runtime.GOMAXPROCS(0)
	}
	size := (len(ops) + n - 1) / n
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := 1; i < n; i++ {
		low, high := min(i*size, len(ops)), min((i+1)*size, len(ops))
		wg.Go(func() { errs[i] = c.prepareShare(ops[low:high], work[low:high]) })
	}
	errs[0] = c.prepareShare(ops[:min(size, len(ops))], work)
	wg.Wait()
	return disk.FirstErr(errs...)
}

func (c *commit) prepareShare(ops []op, work []work) error {
	if len(c.view.runs) == 0 {
		return nil
	}
	return c.runs.View(func(tx *bbolt.Tx) error {
		for i := range ops {
			o, w := &ops[i], &work[i]
			if o.call != nil {
				continue
			}
			at := nextRun(c.view.runs, 0, &o.key, w.hash, removed)
			if at == len(c.view.runs) {
				continue
			}
			number := uint32(0) // nobody's
			if w.peer != nil {
				number = w.peer.number
			}
			var err error
			if w.old, w.copies, err = newestIn(tx, c.view.runs, at, &o.key, w.hash, number); err != nil {
				return err
			}
		}
		return nil
	})
}

// newest returns the expiry of a record; removed: there is none.
func (c *commit) newest(p *peer, o *op, w *work) uint32 {
	if p == nil {
		return removed
	}
	if expires, known := c.view.staged(w.hash, &o.key, p.number); known {
		return expires
	}
	return w.old
}

// peer returns the provider of an op, which another op of the batch may have
// brought; nil: it is not known.
func (c *commit) peer(o *op, w *work) *peer {
	if w.peer == nil {
		w.peer = c.led.peers.byID[o.id]
	}
	return w.peer
}

// add stores a record. It refuses newcomers only.
func (c *commit) add(o *op, w *work) error {
	if o.expires <= max(o.now, unborn) {
		return records.ErrExpired // less than a second was left
	}
	if c.tight != nil {
		return c.tight
	}
	c.tick(o.now)
	p := c.peer(o, w)
	old := c.newest(p, o, w)
	if !live(o.now, old) {
		if err := c.admit(p, o, w, old); err != nil {
			return err
		}
	}
	var err error
	if p == nil {
		p, err = c.intern(o)
	} else {
		err = c.readdress(p, o)
	}
	if err != nil {
		return err
	}
	if ahead(o.now, old, recordLife) {
		c.hide(p, o, w, old)
		old = removed
	}
	if o.expires <= old {
		return nil
	}
	return c.put(p, o, w, old)
}

// tick notices that the clock was set back: what makes a key full may not be live any
// more.
func (c *commit) tick(now uint32) {
	if now+uint32(records.ExpireGrace/time.Second) < c.led.latest {
		clear(c.led.hot)
		c.led.latest = now
	}
	c.led.latest = max(c.led.latest, now)
}

// admit decides about a record that is not known or not live. One that a clock ahead
// has stored is only replaced: it is among those of its provider already.
func (c *commit) admit(p *peer, o *op, w *work, old uint32) error {
	if !ahead(o.now, old, recordLife) {
		if err := c.admitNew(p); err != nil {
			return err
		}
	}
	full, err := c.crowded(o, w)
	if err == nil && full {
		err = errManyPerKey
	}
	return err
}

// admitNew decides whether a provider may have one record more; nil: it is new itself.
func (c *commit) admitNew(p *peer) error {
	if c.full {
		return ErrFull
	}
	if p == nil && c.state.providers >= int64(c.opts.MaxProviders) {
		return errManyProviders
	}
	if p != nil {
		if p.drops != c.led.drops {
			c.touch(p)
		}
		if p.total() >= c.opts.MaxRecordsPerProvider {
			return errManyRecords
		}
	}
	return nil
}

// The quotas, so that each can be counted.
var (
	errManyProviders = fmt.Errorf("%w: too many providers", records.ErrQuota)
	errManyRecords   = fmt.Errorf("%w: too many records of the provider", records.ErrQuota)
	errManyPerKey    = fmt.Errorf("%w: too many providers of the key", records.ErrQuota)
)

// crowded reports whether a key has as many live providers as it may. The answer
// holds until the first of them expires or is removed, so that a flood of
// newcomers costs little.
func (c *commit) crowded(o *op, w *work) (bool, error) {
	if o.now < c.led.hot[o.key] {
		return true, nil
	}
	g := &c.led.gather
	g.reset()
	for _, t := range c.view.tables {
		for i := t.first(w.hash); i != 0; {
			e := &t.entries[i-1]
			if e.key == o.key && e.staged != unborn {
				g.settle(e.number, t.alive(e.staged))
			}
			i = e.next
		}
	}
	if int64(len(g.list))+w.copies < int64(c.opts.MaxProvidersPerKey) {
		return false, nil
	}
	if w.copies > 0 {
		if err := c.missing(c.view, c.scan(c.view, &o.key, w.hash, o.now, g.offer)); err != nil {
			return false, err
		}
	}
	there := g.live(o.now)
	if len(there) < c.opts.MaxProvidersPerKey {
		return false, nil
	}
	first := uint32(math.MaxUint32)
	for _, f := range there {
		first = min(first, f.expires)
	}
	if len(c.led.hot) >= maxHot {
		clear(c.led.hot)
	}
	c.led.hot[o.key] = first
	return true, nil
}

// remove forgets a record, also one that is not live: the clock may be set.
func (c *commit) remove(o *op, w *work) error {
	if c.noTable != nil {
		return c.noTable
	}
	p := c.peer(o, w)
	old := c.newest(p, o, w)
	if old == removed {
		return records.ErrNotFound
	}
	c.hide(p, o, w, old)
	if !live(o.now, old) {
		return records.ErrNotFound
	}
	return nil
}

// hide takes a record out of the books and hides its copies from readers.
func (c *commit) hide(p *peer, o *op, w *work, old uint32) {
	delete(c.led.hot, o.key)
	c.touch(p)
	id := c.uncount(p, old)
	c.stage(o, w, p, removed, id)
	c.led.active.removals = append(c.led.active.removals, removal{key: o.key, number: p.number})
}

// put stores a record whose newest copy expires at old; removed: it has none.
func (c *commit) put(p *peer, o *op, w *work, old uint32) error {
	c.touch(p)
	oldID := c.uncount(p, old)
	e := c.state.open(epochOf(o.expires))
	e.records++
	e.newest = max(e.newest, o.expires)
	p.add(e.id, 1)
	c.led.active.noteEpoch(e.epochRef)
	c.stage(o, w, p, o.expires, oldID)
	latest := max(p.last, e.epoch)
	if ahead(o.now, p.last*epochSeconds, recordLife) {
		// A clock was ahead: the provider is not to be kept until then. The log does
		// not say so, hence the tally is stored at once.
		latest = p.latest(&c.state)
		c.lowered = append(c.lowered, p)
	}
	return c.setLast(p, latest)
}

// setLast moves a provider to its place in the order of collection.
func (c *commit) setLast(p *peer, epoch uint32) error {
	if epoch == p.last {
		return nil
	}
	last, err := disk.BucketOf(c.tx, bucketLast)
	if err != nil {
		return err
	}
	if p.last != 0 {
		if err := last.Delete(lastKey(p.last, p.number)); err != nil {
			return err
		}
	}
	p.last = epoch
	return last.Put(lastKey(p.last, p.number), nil)
}

// uncount takes the newest copy of a record out of the books, and returns the id
// of its epoch; 0: there was no copy.
func (c *commit) uncount(p *peer, old uint32) uint32 {
	if old == removed {
		return 0
	}
	e := c.state.epoch(epochOf(old))
	if e == nil {
		return 0
	}
	e.records--
	p.add(e.id, -1)
	return e.id
}

// stage enters a record in the table and the log. Nobody sees it before show.
func (c *commit) stage(o *op, w *work, p *peer, expires, oldID uint32) {
	c.led.entries = append(c.led.entries, c.led.active.stage(w.hash, &o.key, p.number, expires))
	r := record{key: o.key, number: p.number, expires: expires}
	c.led.log = appendLogEntry(c.led.log, &r, oldID)
}

// touch saves a provider as it was before this commit, and leaves in its tally
// only epochs that there are.
func (c *commit) touch(p *peer) {
	if p.before == nil {
		p.save()
		c.touched = append(c.touched, p)
	}
	if p.drops != c.led.drops {
		p.prune(&c.state)
		p.drops = c.led.drops
	}
}

// intern gives a new provider its number.
func (c *commit) intern(o *op) (*peer, error) {
	if c.state.nextNumber == math.MaxUint32 {
		return nil, fmt.Errorf("%w: provider numbers are used up", ErrFull)
	}
	p := newPeer(o.id, c.state.nextNumber)
	ids, err := disk.BucketOf(c.tx, bucketIDs)
	if err != nil {
		return nil, err
	}
	if err := ids.Put([]byte(p.id), disk.U32(p.number)); err != nil {
		return nil, err
	}
	c.state.nextNumber++
	c.state.providers++
	c.led.peers.insert(p)
	c.touch(p)
	return p, c.storeAddrs(p, o)
}

// readdress stores a provider's addresses if they are others, or less than half of
// their time is left: a row costs a page.
func (c *commit) readdress(p *peer, o *op) error {
	if len(o.addrs) <= 1 {
		return nil
	}
	half := uint32(records.ProviderAddrTTL.Seconds() / 2)
	fresh := p.addrsExpire >= o.now+half && !ahead(o.now, p.addrsExpire, addressLife)
	if fresh && maphash.Bytes(c.led.peers.seed, o.addrs) == p.addrsSum {
		return nil
	}
	c.touch(p)
	return c.storeAddrs(p, o)
}

func (c *commit) storeAddrs(p *peer, o *op) error {
	f := &info{number: p.number, id: p.id, addrs: append([]byte(nil), o.addrs...)}
	if len(f.addrs) == 0 {
		f.addrs = []byte{0}
	}
	if len(f.addrs) > 1 {
		f.addrsExpire = o.addrsExpire
	}
	p.addrsExpire, p.addrsSum = f.addrsExpire, maphash.Bytes(c.led.peers.seed, f.addrs)
	c.infos = append(c.infos, f)
	peers, err := disk.BucketOf(c.tx, bucketPeers)
	if err != nil {
		return err
	}
	return peers.Put(disk.U32(p.number), f.encode())
}
