package workload

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/records"
)

// state is what a new process needs to continue the work of a previous one.
type state struct {
	Start time.Time `json:"start"` // start of the fill, simulated
	Now   time.Time `json:"now"`   // simulated
	Next  uint64    `json:"next"`  // number of the next new record
}

// bench measures one store. One goroutine owns it and starts others.
type bench struct {
	state
	cfg   Config
	dir   string
	store Store
	data  *data
	rng   *rand.Rand
	batch []ProviderRecord
}

func newBench(cfg Config, st state, dir string, store Store) *bench {
	return &bench{
		state: st, cfg: cfg, dir: dir, store: store,
		data: newData(cfg.Seed, uint64(cfg.Records)), rng: rand.New(rand.NewPCG(cfg.Seed, st.Next)),
	}
}

// make returns n records starting at number i. The next call reuses their memory.
func (b *bench) make(n int, i uint64, now time.Time) []ProviderRecord {
	b.batch = slices.Grow(b.batch[:0], n)[:n]
	for j := range b.batch {
		b.data.record(&b.batch[j], i+uint64(j), now)
	}
	return b.batch
}

// fresh returns n new records.
func (b *bench) fresh(n int) []ProviderRecord {
	b.Next += uint64(n)
	return b.make(n, b.Next-uint64(n), b.Now)
}

// known returns the number of a record in the newer four fifths of the fill, which do not
// expire in any step.
func (b *bench) known(rng *rand.Rand) uint64 {
	n := b.data.fill
	return n/5 + rng.Uint64N(n-n/5)
}

// fill stores the records that the other steps look up, in the order in which they would
// arrive in 44 hours.
func (b *bench) fill() ([]Figure, error) {
	var top peak
	defer top.watch()()
	u := measure()
	var inAdd time.Duration
	for b.Next < b.data.fill {
		b.Now = b.Start.Add(b.data.arrival(b.Next))
		batch := b.fresh(int(min(fillBatch, b.data.fill-b.Next)))
		begin := time.Now()
		if err := b.store.Add(b.Now, batch); err != nil {
			return nil, err
		}
		inAdd += time.Since(begin)
	}
	_, cpu, wrote := u.since()
	b.Now = b.Start.Add(fillSpan)
	n := float64(b.data.fill)
	return []Figure{
		more("fill, batches of 10,000", "records/s", n/inAdd.Seconds()),
		less("fill: written", "B/record", float64(wrote)/n),
		less("fill: processor", "us/record", cpu.Seconds()*1e6/n),
		less("fill: most memory", "MiB", float64(top.bytes.Load())/(1<<20)),
	}, nil
}

// ingest adds new records with each batch size.
func (b *bench) ingest() (out []Figure, err error) {
	for _, size := range b.cfg.Batches {
		name := fmt.Sprintf("ingest, batches of %s", thousands(size))
		figures, err := b.rate(name, name, func() []ProviderRecord { return b.fresh(size) })
		if err != nil {
			return nil, err
		}
		out = append(out, figures...)
	}
	return out, nil
}

// refresh republishes random records.
func (b *bench) refresh() ([]Figure, error) {
	return b.rate("refresh, batches of 10,000", "refresh", func() []ProviderRecord {
		batch := b.make(fillBatch, 0, b.Now)
		for i := range batch {
			b.data.record(&batch[i], b.known(b.rng), b.Now)
		}
		return batch
	})
}

// rate adds batches until the window is over or a quarter of the fill has been added. The
// rate excludes the time to generate the records.
func (b *bench) rate(name, short string, next func() []ProviderRecord) ([]Figure, error) {
	n, inAdd, u := 0, time.Duration(0), measure()
	for inAdd < b.cfg.Window && n < max(b.cfg.Records/4, 20*fillBatch) {
		b.Now = b.Now.Add(time.Millisecond)
		batch := next()
		begin := time.Now()
		if err := b.store.Add(b.Now, batch); err != nil {
			return nil, err
		}
		inAdd += time.Since(begin)
		n += len(batch)
	}
	_, cpu, wrote := u.since()
	return []Figure{
		more(name, "records/s", float64(n)/inAdd.Seconds()),
		less(short+": written", "B/record", float64(wrote)/float64(n)),
		less(short+": processor", "us/record", cpu.Seconds()*1e6/float64(n)),
	}, nil
}

// lookups looks up existing and absent keys alternately until the window is over.
func (b *bench) lookups(hit, miss *latencies) error {
	const most = 200_000
	rng := rand.New(rand.NewPCG(b.cfg.Seed, 2))
	var key []byte
	look := func(i uint64, l *latencies) (int, error) {
		key = b.data.appendKey(key[:0], i)
		begin := time.Now()
		n, err := b.store.Lookup(b.Now, key)
		l.add(time.Since(begin))
		return n, err
	}
	for begin := time.Now(); time.Since(begin) < b.cfg.Window && len(hit.all) < most; {
		i := b.known(rng)
		if n, err := look(i, hit); err != nil || n == 0 {
			return fmt.Errorf("%d providers of record %d: %w", n, i, err)
		}
		if n, err := look(absent+i, miss); err != nil || n != 0 {
			return fmt.Errorf("%d providers of a key that has none: %w", n, err)
		}
	}
	return nil
}

func (b *bench) lookupIdle() ([]Figure, error) {
	quiet()
	var hit, miss latencies
	err := b.lookups(&hit, &miss)
	return append(hit.percentiles("lookup, idle: hit", 0.5, 0.99), miss.percentiles("lookup, idle: miss", 0.5, 0.99)...), err
}

// lookupPaced looks up keys while 2,000 records arrive per second.
func (b *bench) lookupPaced() ([]Figure, error) {
	var hit, miss latencies
	err := b.beside(b.pace, func() error { return b.lookups(&hit, &miss) })
	return hit.percentiles("lookup, 2,000 records/s come in: hit", 0.5, 0.99, 0.999), err
}

// lookupFlat looks up keys while batches of a thousand are added as fast as possible.
func (b *bench) lookupFlat() ([]Figure, error) {
	var hit, miss latencies
	var n int
	var took time.Duration
	err := b.beside(func(stop <-chan struct{}) error {
		for begin := time.Now(); n == 0 || !ended(stop); took = time.Since(begin) { // at least one batch
			if err := b.store.Add(b.Now, b.fresh(1000)); err != nil {
				return err
			}
			n += 1000
		}
		return nil
	}, func() error { return b.lookups(&hit, &miss) })
	out := hit.percentiles("lookup, batches of 1,000 come in: hit", 0.5, 0.99, 0.999)
	return append(out, more("ingest, batches of 1,000 beside lookups", "records/s", float64(n)/took.Seconds())), err
}

// beside runs work until fn ends.
func (b *bench) beside(work func(stop <-chan struct{}) error, fn func() error) error {
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- work(stop) }()
	err := fn()
	close(stop)
	if e := <-done; err == nil {
		err = e
	}
	return err
}

func ended(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}

// pace queues 2,000 records per second.
func (b *bench) pace(stop <-chan struct{}) error {
	_, err := b.pacing(stop, 0)
	return err
}

// pacing queues 2,000 records per second until stop is closed, or until most records are
// queued (0: no limit).
func (b *bench) pacing(stop <-chan struct{}, most int) (n int, err error) {
	t := time.NewTicker(pacedTick)
	defer t.Stop()
	begin := time.Now()
	var a ProviderRecord
	for most == 0 || n < most {
		select {
		case <-stop:
			return n, nil
		case <-t.C:
		}
		for due := int(time.Since(begin).Seconds() * pacedRate); n < due; n++ {
			b.data.record(&a, b.Next, b.Now)
			b.Next++
			if err := b.store.Queue(b.Now, &a); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// paced measures the cost of 2,000 records per second without waiting callers.
func (b *bench) paced() ([]Figure, error) {
	quiet()
	u := measure()
	n, err := b.pacing(nil, int(b.cfg.Window.Seconds()*pacedRate)+1)
	if err == nil {
		err = b.store.Sync()
	}
	took, cpu, wrote := u.since()
	return []Figure{
		less("2,000 records/s: written", "B/record", float64(wrote)/float64(n)),
		less("2,000 records/s: processor", "%", 100*cpu.Seconds()/took.Seconds()),
	}, err
}

// callers runs goroutines that each store one record after another and wait for it.
func (b *bench) callers() (out []Figure, err error) {
	for _, n := range b.cfg.Callers {
		rate, l, err := b.calling(n)
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("%s durable callers", thousands(n))
		if n == 1 {
			name = "1 durable caller"
		}
		out = append(out, more(name, "records/s", rate), less(name+": p99", "ms", l.ms(0.99)))
	}
	return out, nil
}

func (b *bench) calling(n int) (rate float64, all latencies, err error) {
	var next atomic.Uint64
	next.Store(b.Next)
	var mu sync.Mutex
	var wg sync.WaitGroup
	begin := time.Now()
	for range n {
		wg.Go(func() {
			var l latencies
			var a ProviderRecord
			var failed error
			for failed == nil && time.Since(begin) < b.cfg.Window {
				b.data.record(&a, next.Add(1)-1, b.Now)
				at := time.Now()
				failed = b.store.Put(b.Now, &a)
				l.add(time.Since(at))
			}
			mu.Lock()
			defer mu.Unlock()
			all.all = append(all.all, l.all...)
			if err == nil {
				err = failed
			}
		})
	}
	wg.Wait()
	took := time.Since(begin)
	b.Next = next.Load()
	return float64(len(all.all)) / took.Seconds(), all, err
}

// syncs counts fsyncs.
func (b *bench) syncs() (out []Figure, err error) {
	count := func(name, unit string, per float64, fn func() error) {
		var n int64
		if err == nil {
			if n, err = countSyncs(fn); err == nil {
				out = append(out, less(name, unit, float64(n)/per))
			}
		}
	}
	const batches = 20
	for _, size := range b.cfg.Batches {
		count(fmt.Sprintf("fsyncs, batches of %s", thousands(size)), "a batch", batches, func() error {
			for range batches {
				if err := b.store.Add(b.Now, b.fresh(size)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	seconds := b.cfg.Window.Seconds()
	count("fsyncs, 2,000 records/s", "a second", seconds, func() error {
		_, err := b.pacing(nil, int(seconds*pacedRate)+1)
		return err
	})
	if errors.Is(err, errNoTracer) {
		return nil, nil // the table shows that the figure is missing
	}
	return out, err
}

// settled returns unused memory to the system and returns the memory that remains in use.
func settled() int64 {
	runtime.GC()
	freeOSMemory()
	return anonymous()
}

// expiredAt returns the time at which the first tenth of the fill has expired.
func (b *bench) expiredAt() time.Time {
	return b.Start.Add(b.data.arrival(b.data.fill / 10)).Add(records.MaxTTL)
}
