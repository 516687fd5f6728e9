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

// parallel is the number of writes from which a batch is prepared on all processors.
const parallel = 512

// prepare looks up the records of ops in the runs. It uses the view of this commit, because
// records move from tables to runs between two views.
func (x *txn) prepare(ops []op) error {
	x.led.work = append(x.led.work[:0], make([]work, len(ops))...)
	for i := range ops {
		o, w := &ops[i], &x.led.work[i]
		if o.call != nil {
			continue
		}
		w.hash = x.store.seed.hash(&o.key)
		if i > 0 && o.id == ops[i-1].id { // announcements often come in bursts from one peer
			w.provider = x.led.work[i-1].provider
			continue
		}
		var err error
		if w.provider, err = x.led.providers.load(x.tx, o.id); err != nil {
			return err
		}
	}
	return x.store.retry(func(v *view) error {
		x.view = v
		return x.prepareRuns(ops, x.led.work)
	})
}

// prepareRuns looks up the ops in the runs, a share on each processor.
func (x *txn) prepareRuns(ops []op, work []work) error {
	n := 1
	if len(ops) >= parallel {
		n = runtime.GOMAXPROCS(0)
	}
	size := (len(ops) + n - 1) / n
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := 1; i < n; i++ {
		low, high := min(i*size, len(ops)), min((i+1)*size, len(ops))
		wg.Go(func() { errs[i] = x.prepareShare(ops[low:high], work[low:high]) })
	}
	errs[0] = x.prepareShare(ops[:min(size, len(ops))], work)
	wg.Wait()
	return disk.FirstErr(errs...)
}

func (x *txn) prepareShare(ops []op, work []work) error {
	if len(x.view.runs) == 0 {
		return nil
	}
	return x.store.runs.View(func(tx *bbolt.Tx) error {
		for i := range ops {
			o, w := &ops[i], &work[i]
			if o.call != nil {
				continue
			}
			at := nextRun(x.view.runs, 0, &o.key, w.hash, removed)
			if at == len(x.view.runs) {
				continue
			}
			number := uint32(0) // no provider has number 0
			if w.provider != nil {
				number = w.provider.number
			}
			var err error
			if w.old, w.copies, err = newestIn(tx, x.view.runs, at, &o.key, w.hash, number); err != nil {
				return err
			}
		}
		return nil
	})
}

// newest returns the expiry of a record, or removed if there is none.
func (x *txn) newest(p *provider, o *op, w *work) uint32 {
	if p == nil {
		return removed
	}
	if expires, known := x.view.staged(w.hash, &o.key, p.number); known {
		return expires
	}
	return w.old
}

// provider returns the provider of an op, or nil if it is unknown. An earlier op of the batch may
// have added it.
func (x *txn) provider(o *op, w *work) *provider {
	if w.provider == nil {
		w.provider = x.led.providers.byID[o.id]
	}
	return w.provider
}

// add stores a record. Quotas apply to new records only.
func (x *txn) add(o *op, w *work) error {
	if o.expires <= max(o.now, unborn) {
		return records.ErrExpired // less than a second is left
	}
	if x.noAdds != nil {
		return x.noAdds
	}
	x.tick(o.now)
	p := x.provider(o, w)
	old := x.newest(p, o, w)
	if !live(o.now, old) {
		if err := x.admit(p, o, w, old); err != nil {
			return err
		}
	}
	var err error
	if p == nil {
		p, err = x.intern(o)
	} else {
		err = x.readdress(p, o)
	}
	if err != nil {
		return err
	}
	if ahead(o.now, old, recordLife) {
		x.hide(p, o, w, old)
		old = removed
	}
	if o.expires <= old {
		return nil
	}
	return x.put(p, o, w, old)
}

// tick detects that the clock was set back: the records that made a key full may no longer be
// live.
func (x *txn) tick(now uint32) {
	if now+uint32(records.ExpireGrace/time.Second) < x.led.latest {
		clear(x.led.hot)
		x.led.latest = now
	}
	x.led.latest = max(x.led.latest, now)
}

// admit decides whether to accept a record that is unknown or not live. A record that was
// stored while the clock was ahead is only replaced: it already counts for its provider.
func (x *txn) admit(p *provider, o *op, w *work, old uint32) error {
	if !ahead(o.now, old, recordLife) {
		if err := x.admitNew(p); err != nil {
			return err
		}
	}
	full, err := x.crowded(o, w)
	if err == nil && full {
		err = errManyPerKey
	}
	return err
}

// admitNew decides whether a provider may have one more record. A nil provider is new itself.
func (x *txn) admitNew(p *provider) error {
	if x.noNew != nil {
		return x.noNew
	}
	if p == nil && x.state.providers >= int64(x.store.opts.MaxProviders) {
		return errManyProviders
	}
	if p != nil {
		if p.drops != x.led.drops {
			x.touch(p)
		}
		if p.total() >= x.store.opts.MaxRecordsPerProvider {
			return errManyRecords
		}
	}
	return nil
}

// The quotas, as separate errors so that each can be counted.
var (
	errManyProviders = fmt.Errorf("%w: too many providers", records.ErrQuota)
	errManyRecords   = fmt.Errorf("%w: too many records of the provider", records.ErrQuota)
	errManyPerKey    = fmt.Errorf("%w: too many providers of the key", records.ErrQuota)
)

// crowded reports whether a key has as many live providers as allowed. The answer is cached
// until the first of them expires or is removed, so that a flood of new providers costs
// little.
func (x *txn) crowded(o *op, w *work) (bool, error) {
	if o.now < x.led.hot[o.key] {
		return true, nil
	}
	g := &x.led.gather
	g.reset()
	for _, t := range x.view.tables {
		for i := t.first(w.hash); i != 0; {
			e := &t.entries[i-1]
			if e.key == o.key && e.staged != unborn {
				g.settle(e.number, t.alive(e.staged))
			}
			i = e.next
		}
	}
	if int64(len(g.list))+w.copies < int64(x.store.opts.MaxProvidersPerKey) {
		return false, nil
	}
	if w.copies > 0 {
		if err := x.store.missing(x.view, x.store.scan(x.view, &o.key, w.hash, o.now, g.offer)); err != nil {
			return false, err
		}
	}
	there := g.live(o.now)
	if len(there) < x.store.opts.MaxProvidersPerKey {
		return false, nil
	}
	first := uint32(math.MaxUint32)
	for _, f := range there {
		first = min(first, f.expires)
	}
	if len(x.led.hot) >= maxHot {
		clear(x.led.hot)
	}
	x.led.hot[o.key] = first
	return true, nil
}

// remove removes a record, even one that is not live, because the clock may change.
func (x *txn) remove(o *op, w *work) error {
	if x.noRemovals != nil {
		return x.noRemovals
	}
	p := x.provider(o, w)
	old := x.newest(p, o, w)
	if old == removed {
		return records.ErrNotFound
	}
	x.hide(p, o, w, old)
	if !live(o.now, old) {
		return records.ErrNotFound
	}
	return nil
}

// hide removes a record from the counters and hides its copies from readers.
func (x *txn) hide(p *provider, o *op, w *work, old uint32) {
	delete(x.led.hot, o.key)
	x.touch(p)
	id := x.uncount(p, old)
	x.stage(o, w, p, removed, id)
	x.led.active.removals = append(x.led.active.removals, removal{key: o.key, number: p.number})
}

// put stores a record whose newest copy expires at old (removed: there is no copy).
func (x *txn) put(p *provider, o *op, w *work, old uint32) error {
	x.touch(p)
	oldID := x.uncount(p, old)
	e := x.state.open(epochOf(o.expires))
	e.records++
	e.newest = max(e.newest, o.expires)
	p.add(e.id, 1)
	x.led.active.noteEpoch(e.epochRef)
	x.stage(o, w, p, o.expires, oldID)
	latest := max(p.last, e.epoch)
	if ahead(o.now, p.last*epochSeconds, recordLife) {
		// The clock was ahead, and the provider must not be kept until then. The log does not
		// record this, so the tally is stored at once.
		latest = p.latest(&x.state)
		x.lowered = append(x.lowered, p)
	}
	return x.setLast(p, latest)
}

// setLast moves a provider to its place in the order in which providers are collected.
func (x *txn) setLast(p *provider, epoch uint32) error {
	if epoch == p.last {
		return nil
	}
	last, err := disk.BucketOf(x.tx, bucketLast)
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

// uncount removes the newest copy of a record from the counters and returns the id of its
// epoch, or 0 if there was no copy.
func (x *txn) uncount(p *provider, old uint32) uint32 {
	if old == removed {
		return 0
	}
	e := x.state.epoch(epochOf(old))
	if e == nil {
		return 0
	}
	e.records--
	p.add(e.id, -1)
	return e.id
}

// stage adds a record to the table and the log. It is invisible until show.
func (x *txn) stage(o *op, w *work, p *provider, expires, oldID uint32) {
	x.led.staged = append(x.led.staged, x.led.active.stage(w.hash, &o.key, p.number, expires))
	r := record{key: o.key, number: p.number, expires: expires}
	x.led.logEntries = appendLogEntry(x.led.logEntries, &r, oldID)
}

// touch saves the state of a provider before this commit, and removes dropped epochs from its
// tally.
func (x *txn) touch(p *provider) {
	if p.before == nil {
		p.save()
		x.touched = append(x.touched, p)
	}
	if p.drops != x.led.drops {
		p.prune(&x.state)
		p.drops = x.led.drops
	}
}

// intern assigns a number to a new provider.
func (x *txn) intern(o *op) (*provider, error) {
	if x.state.nextNumber == math.MaxUint32 {
		return nil, fmt.Errorf("%w: provider numbers are used up", ErrFull)
	}
	p := newProvider(o.id, x.state.nextNumber)
	ids, err := disk.BucketOf(x.tx, bucketIDs)
	if err != nil {
		return nil, err
	}
	if err := ids.Put([]byte(p.id), disk.U32(p.number)); err != nil {
		return nil, err
	}
	x.state.nextNumber++
	x.state.providers++
	x.led.providers.insert(p)
	x.touch(p)
	return p, x.storeAddrs(p, o)
}

// readdress stores a provider's addresses if they have changed or less than half of their
// lifetime is left. It avoids other writes, because a row costs a page.
func (x *txn) readdress(p *provider, o *op) error {
	if len(o.addrs) <= 1 {
		return nil
	}
	half := uint32(records.ProviderAddrTTL.Seconds() / 2)
	fresh := p.addrsExpire >= o.now+half && !ahead(o.now, p.addrsExpire, addressLife)
	if fresh && maphash.Bytes(x.led.providers.seed, o.addrs) == p.addrsSum {
		return nil
	}
	x.touch(p)
	return x.storeAddrs(p, o)
}

func (x *txn) storeAddrs(p *provider, o *op) error {
	f := &providerRow{number: p.number, id: p.id, addrs: append([]byte(nil), o.addrs...)}
	if len(f.addrs) == 0 {
		f.addrs = []byte{0}
	}
	if len(f.addrs) > 1 {
		f.addrsExpire = o.addrsExpire
	}
	p.addrsExpire, p.addrsSum = f.addrsExpire, maphash.Bytes(x.led.providers.seed, f.addrs)
	x.providerRows = append(x.providerRows, f)
	providers, err := disk.BucketOf(x.tx, bucketProviders)
	if err != nil {
		return err
	}
	return providers.Put(disk.U32(p.number), f.encode())
}
