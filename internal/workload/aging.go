package workload

import (
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"
)

func freeOSMemory() { debug.FreeOSMemory() }

// expire removes the first tenth of the fill while a reader and a writer are running.
func (b *bench) expire() ([]Figure, error) {
	quiet()
	at := b.expiredAt()
	if at.After(b.Now) {
		b.Now = at
	}
	before, err := b.pauses(func() error { time.Sleep(b.cfg.Window); return nil })
	if err != nil {
		return nil, err
	}
	var removed int64
	var took time.Duration
	u := measure()
	during, err := b.pauses(func() (err error) {
		begin := time.Now()
		removed, err = b.store.Expire(at)
		took = time.Since(begin)
		return err
	})
	if err != nil {
		return nil, err
	}
	_, _, wrote := u.since()
	n := float64(max(removed, 1))
	return []Figure{
		more("expire a tenth: removed", "records", float64(removed)),
		less("expire a tenth: took", "ms", took.Seconds()*1e3),
		less("expire a tenth: took for a million", "ms", took.Seconds()*1e9/n),
		less("expire a tenth: written", "B/record", float64(wrote)/n),
		less("expire a tenth: longest read", "ms", during.read.ms(1)),
		less("expire a tenth: longest write of 20", "ms", during.write.ms(1)),
		less("the same time without: longest read", "ms", before.read.ms(1)),
		less("the same time without: longest write of 20", "ms", before.write.ms(1)),
	}, nil
}

// pauses are the latencies of a reader and of a writer.
type pauses struct{ read, write latencies }

// pauses runs a reader and a writer while fn runs, and for at least a quarter of a second.
func (b *bench) pauses(fn func() error) (p pauses, err error) {
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var readErr, writeErr error
	wg.Go(func() {
		rng := rand.New(rand.NewPCG(b.cfg.Seed, 3))
		var key []byte
		for !ended(stop) && readErr == nil {
			key = b.data.appendKey(key[:0], b.known(rng))
			begin := time.Now()
			_, readErr = b.store.Lookup(b.Now, key)
			p.read.add(time.Since(begin))
		}
	})
	wg.Go(func() {
		for !ended(stop) && writeErr == nil {
			batch := b.fresh(20)
			begin := time.Now()
			writeErr = b.store.Add(b.Now, batch)
			p.write.add(time.Since(begin))
			time.Sleep(pacedTick)
		}
	})
	time.Sleep(100 * time.Millisecond)
	err = fn()
	time.Sleep(150 * time.Millisecond)
	close(stop)
	wg.Wait()
	for _, e := range []error{readErr, writeErr} {
		if err == nil {
			err = e
		}
	}
	return p, err
}

// steadyAfter is the time after which sizes are steady: every record has been republished
// twice, and everything older is gone.
const steadyAfter = 3 * 24 * time.Hour

// days republishes every record of the fill every 22 hours and removes expired records
// periodically: the normal operation of a server.
func (b *bench) days() ([]Figure, error) {
	var top peak
	defer top.watch()()
	begin := b.Now
	end := begin.Add(max(time.Duration(b.cfg.Days)*24*time.Hour-reannounce/2, reannounce)).Truncate(time.Second)
	var a aging
	u := measure()
	for b.Now.Before(end) {
		if err := b.republish(&a); err != nil {
			return nil, err
		}
		if b.Now.Sub(begin) <= steadyAfter || a.steady == 0 {
			a.steady = a.size
		}
	}
	_, cpu, wrote := u.since()
	n := float64(a.added)
	out := []Figure{
		more("all announced every 22 h", "records/s", n/a.inAdd.Seconds()),
		less("all announced every 22 h: written", "B/record", float64(wrote)/n),
		less("all announced every 22 h: processor", "us/record", cpu.Seconds()*1e6/n),
		less("all announced every 22 h: longest batch", "ms", a.longest.Seconds()*1e3),
		less("all announced every 22 h: one removal of what expired", "ms", a.removal.Seconds()*1e3/float64(max(a.removals, 1))),
		less("all announced every 22 h: most memory", "MiB", float64(top.bytes.Load())/(1<<20)),
		less("files", "B/live record", float64(a.size)/float64(b.data.fill)),
	}
	if b.cfg.Days > 5 {
		name := fmt.Sprintf("files: growth from day 3 to day %d", b.cfg.Days)
		out = append(out, less(name, "%", 100*(float64(a.size)/float64(a.steady)-1)))
	}
	var hit, miss latencies
	if err := b.lookups(&hit, &miss); err != nil {
		return nil, err
	}
	out = append(out, hit.percentiles("lookup, after that: hit", 0.5, 0.99)...)
	return append(out, less("memory after that", "MiB", float64(settled())/(1<<20))), nil
}

// aging contains the results of days.
type aging struct {
	added    int
	inAdd    time.Duration
	longest  time.Duration // of one batch
	removals int
	removal  time.Duration // sum of all removals
	size     int64         // of the files after all records were last added
	steady   int64         // the same on day 3
}

// cycle republishes every record once.
func (b *bench) republish(a *aging) error {
	begin := b.Now
	swept := begin
	for i := uint64(0); i < b.data.fill; {
		b.Now = begin.Add(time.Duration(float64(reannounce) * (float64(i) / float64(b.data.fill))))
		batch := b.make(int(min(fillBatch, b.data.fill-i)), i, b.Now)
		i += uint64(len(batch))
		at := time.Now()
		if err := b.store.Add(b.Now, batch); err != nil {
			return err
		}
		took := time.Since(at)
		a.longest, a.inAdd, a.added = max(a.longest, took), a.inAdd+took, a.added+len(batch)
		if b.Now.Sub(swept) < b.cfg.RemoveEvery {
			continue
		}
		swept, at = b.Now, time.Now()
		if _, err := b.store.Expire(b.Now); err != nil {
			return err
		}
		a.removals, a.removal = a.removals+1, a.removal+time.Since(at)
	}
	b.Now = begin.Add(reannounce)
	var err error
	a.size, err = dirBytes(b.dir)
	return err
}
