//go:build force

package force

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	ds "github.com/ipfs/go-datastore"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// The environment of a writer: its directory, its round, and its start time (Unix seconds).
const (
	writerEnv = "HOLDFAST_FORCE_WRITER"
	roundEnv  = "HOLDFAST_FORCE_ROUND"
	beginEnv  = "HOLDFAST_FORCE_BEGIN"
	noSyncEnv = "HOLDFAST_FORCE_NOSYNC" // to show that a loss is detected
)

// Output lines of a writer. Each is written at once, so that none is lost in a kill:
//
//	opened
//	begin NUMBER WHAT STANDS N LO HI EXTENDS MOST    before a write is asked for
//	end NUMBER                                       it was answered
//	sweep LIMIT, swept                          around a run of expiry
//	backup PATH                                 complete
//	built FLUSHES MERGES                        of provider records since the start
//	clock SECONDS                               the writer's time, now and then
//	error TEXT                                  that must not be
//
// WHAT is v:KEY (value), p:KEY:PEER (provider record), a:PEER (its addresses),
// k:KEY (published key), d:KEY (datastore), s: (snapshot).
type voice struct {
	mu   sync.Mutex
	next int
}

func (v *voice) say(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	fmt.Printf(format+"\n", args...)
}

func (v *voice) begin(c change) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.next++
	fmt.Printf("begin %d %s %t %d %d %d %t %d\n", v.next, c.what, c.stands, c.n, c.lo, c.hi, c.extends, c.most)
	return v.next
}

// end reports the answer to a write. A refusal means that nothing is stored.
func (v *voice) end(number int, err error, refusals ...error) {
	for _, r := range refusals {
		if errors.Is(err, r) {
			err = nil
		}
	}
	if err != nil {
		v.fail(err)
		return
	}
	v.say("end %d", number)
}

// fail reports a violation, at a limited rate.
func (v *voice) fail(err error) {
	v.say("error %v", err)
	pause(20 * time.Millisecond)
}

// author writes to a store on a clock of its own, on which a write takes one or two seconds.
type author struct {
	voice
	db    *storage.DB
	round int
	clock atomic.Int64 // unix seconds
	dir   string
}

func (a *author) now(rng *rand.Rand) time.Time {
	return time.Unix(a.clock.Add(1+rng.Int64N(2)), 0)
}

// storeOptions returns the options of a writer's store. Waits are short, and work that a
// large store does once an hour happens all the time: tables fill up, and runs are written,
// merged and dropped.
func storeOptions() storage.Options {
	return storage.Options{Options: runs.Options{CommitWindow: 5 * time.Millisecond, TableRecords: 300, RotateEvery: 50 * time.Millisecond}}
}

// writer is the process that is killed.
func writer(dir string) int {
	a := &author{dir: dir}
	o := storeOptions()
	o.NoSync = os.Getenv(noSyncEnv) != ""
	var err error
	if a.db, err = storage.Open(dir, o); err != nil {
		a.say("error open: %v", err)
		return 1
	}
	if q := a.db.Quarantined(); q != nil {
		a.say("error quarantined: %v", q.Reason)
	}
	a.say("opened")
	a.round, _ = strconv.Atoi(os.Getenv(roundEnv))
	begin, _ := strconv.ParseInt(os.Getenv(beginEnv), 10, 64)
	a.clock.Store(begin)
	var wg sync.WaitGroup
	for g, work := range []func(*rand.Rand, int){
		a.values, a.durable, a.durable, a.providers, a.providers, a.published, a.snapshots, a.expiry, a.rows,
	} {
		rng := rand.New(rand.NewPCG(uint64(a.round), uint64(g)))
		wg.Go(func() {
			for {
				work(rng, g)
			}
		})
	}
	wg.Wait()
	return 0
}

// unique returns a number that no earlier write of this kind has.
func (a *author) unique(i *int) int64 {
	*i++
	return int64(a.round)*1_000_000 + int64(*i)
}

func (a *author) values(rng *rand.Rand, _ int) {
	for i := 0; ; {
		now := a.now(rng)
		n := a.unique(&i)
		key := fmt.Sprintf("value-%d", rng.IntN(200))
		if rng.IntN(12) == 0 {
			number := a.begin(change{what: "v:" + key})
			a.end(number, a.db.DeleteValue([]byte(key)), records.ErrNotFound)
			continue
		}
		expires := now.Add(time.Duration(1+rng.IntN(40*3600)) * time.Second)
		value := fmt.Appendf(nil, "%019d", n)
		value = append(value, make([]byte, rng.IntN(100)*rng.IntN(100))...)
		number := a.begin(change{what: "v:" + key, stands: true, n: n, lo: expires.UnixNano(), hi: expires.UnixNano()})
		a.end(number, a.db.PutValue(now, records.Value{Key: []byte(key), Value: value, Expires: expires}, newer))
	}
}

// newer prefers the later of two values.
func newer(_, a, b []byte) bool { return string(b[:19]) > string(a[:19]) }

func providerChange(key string, id kad.PeerID, now, expires time.Time) change {
	return change{
		what: "p:" + key + ":" + string(id), stands: true, lo: expires.UnixNano(), hi: expires.UnixNano(),
		extends: true, most: now.Add(records.MaxTTL).UnixNano(),
	}
}

// addrsChange is the effect of an announcement at now on the addresses of a peer. A store may
// keep its addresses while more than half of their lifetime is left.
func addrsChange(id kad.PeerID, now time.Time) change {
	lo := now.Add(records.ProviderAddrTTL / 2).UnixNano()
	return change{what: "a:" + string(id), stands: true, lo: lo, hi: never, extends: true, most: lo}
}

// durable adds, republishes and removes provider records and waits for each.
func (a *author) durable(rng *rand.Rand, g int) {
	for {
		now := a.now(rng)
		id := kad.PeerID(fmt.Sprintf("durable%d-%d", g, rng.IntN(30)))
		key := fmt.Sprintf("content%d-%d", g, rng.IntN(300))
		if rng.IntN(10) == 0 {
			number := a.begin(change{what: "p:" + key + ":" + string(id)})
			a.end(number, a.db.RemoveProvider(now, []byte(key), id), records.ErrNotFound)
			continue
		}
		p := providerAt(id, now, rng)
		number, addrs := a.begin(providerChange(key, id, now, p.Expires)), a.begin(addrsChange(id, now))
		if err := a.db.AddProvider(now, []byte(key), p, true); err != nil {
			a.fail(err)
			continue
		}
		a.end(number, nil)
		a.end(addrs, nil)
	}
}

func providerAt(id kad.PeerID, now time.Time, rng *rand.Rand) records.Provider {
	return records.Provider{
		ID: id, Addrs: [][]byte{[]byte("address of " + id)},
		Expires: now.Add(time.Duration(1+rng.IntN(47*3600)) * time.Second),
	}
}

// providers adds provider records without waiting. They count once they have been seen, or once
// a later flush was answered.
func (a *author) providers(rng *rand.Rand, g int) {
	for i := 0; ; {
		now := a.now(rng)
		var numbers []int
		var key string
		var last records.Provider
		for range 20 + rng.IntN(200) {
			k := fmt.Sprintf("record%d-%d", g, a.unique(&i))
			p := providerAt(kad.PeerID(fmt.Sprintf("peer%d-%d", g, rng.IntN(2000))), now, rng)
			number := a.begin(providerChange(k, p.ID, now, p.Expires))
			switch err := a.db.AddProvider(now, []byte(k), p, false); {
			case err == nil:
				key, last, numbers = k, p, append(numbers, number)
			case !errors.Is(err, records.ErrBusy):
				a.fail(err)
			}
		}
		if len(numbers) > 0 && rng.IntN(2) == 0 {
			a.see(now, key, last.ID, numbers[len(numbers)-1])
			continue // the others may or may not be present
		}
		if err := a.db.Flush(); err != nil {
			a.fail(err)
			continue
		}
		for _, n := range numbers {
			a.end(n, nil)
		}
	}
}

// see waits until a reader sees a record.
func (a *author) see(now time.Time, key string, id kad.PeerID, number int) {
	for {
		ps, err := a.db.Providers(nil, now, []byte(key), 100)
		if err != nil {
			a.fail(err)
			return
		}
		for _, p := range ps {
			if p.ID == id {
				a.end(number, nil)
				return
			}
		}
		pause(time.Millisecond)
	}
}

func (a *author) published(rng *rand.Rand, _ int) {
	for i := 0; ; {
		now := a.now(rng)
		key := fmt.Sprintf("own-%d", rng.IntN(3000))
		kind := records.KindProvider
		what := "k:" + key
		n := a.unique(&i)
		due := time.Unix(n, 0)
		switch rng.IntN(8) {
		case 0:
			number := a.begin(change{what: what})
			a.end(number, a.db.Unpublish(kind, []byte(key)), records.ErrNotFound)
		case 1: // the schedule, of known keys only
			if _, err := a.db.Load(kind, []byte(key)); err == nil {
				number := a.begin(change{what: what, stands: true, n: n, lo: never, hi: never})
				a.end(number, a.db.Done(kind, []byte(key), now, due))
			}
		default:
			number := a.begin(change{what: what, stands: true, n: n, lo: never, hi: never})
			a.end(number, a.db.Publish(records.Published{Kind: kind, Key: []byte(key), Added: now, Due: due}))
		}
	}
}

func (a *author) snapshots(rng *rand.Rand, _ int) {
	for i := 0; ; {
		n := a.unique(&i)
		s := records.Snapshot{Taken: time.Unix(n, 0)}
		for j := range rng.IntN(50) {
			s.Peers = append(s.Peers, records.SnapshotPeer{ID: kad.PeerID(fmt.Sprint("peer", j)), Addrs: [][]byte{make([]byte, 40)}})
		}
		number := a.begin(change{what: "s:", stands: true, n: n, lo: never, hi: never})
		a.end(number, a.db.SaveSnapshot(s))
		if rng.IntN(20) == 0 {
			a.backup(n)
		}
		pause(time.Duration(rng.IntN(20)) * time.Millisecond)
	}
}

// backup copies the store into a file beside its directory.
func (a *author) backup(n int64) {
	path := fmt.Sprintf("%s.backup-%d", filepath.Clean(a.dir), n)
	f, err := os.Create(path)
	if err != nil {
		a.fail(err)
		return
	}
	defer f.Close()
	if _, err := a.db.Backup(f); err != nil {
		a.fail(err)
		return
	}
	a.say("backup %s", path)
}

// expiry removes expired records and moves the clock: ten minutes occasionally, two days
// forward or back rarely.
func (a *author) expiry(rng *rand.Rand, _ int) {
	for {
		switch rng.IntN(400) {
		case 0:
			a.clock.Add(48 * 3600)
		case 1:
			a.clock.Add(-48 * 3600)
		default:
			a.clock.Add(int64(rng.IntN(600)))
		}
		now := time.Unix(a.clock.Load(), 0)
		a.say("clock %d", now.Unix())
		a.say("sweep %d", now.Add(-records.ExpireGrace).UnixNano())
		for more := true; more; {
			x, err := a.db.Expire(now)
			if err != nil {
				a.fail(err)
			}
			more = x.More && err == nil
		}
		a.say("swept")
		stats := a.db.ProviderStats()
		a.say("built %d %d", stats.Flushes, stats.Merges)
		pause(time.Duration(rng.IntN(20)) * time.Millisecond)
	}
}

func (a *author) rows(rng *rand.Rand, _ int) {
	d := a.db.Datastore()
	for i := 0; ; {
		key := fmt.Sprintf("/row/%d", rng.IntN(500))
		if rng.IntN(6) == 0 {
			number := a.begin(change{what: "d:" + key})
			a.end(number, d.Delete(context.Background(), ds.NewKey(key)))
			continue
		}
		n := a.unique(&i)
		number := a.begin(change{what: "d:" + key, stands: true, n: n, lo: never, hi: never})
		a.end(number, d.Put(context.Background(), ds.NewKey(key), []byte(strconv.FormatInt(n, 10))))
	}
}
