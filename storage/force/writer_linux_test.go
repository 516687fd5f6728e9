//go:build force

package force

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	ds "github.com/ipfs/go-datastore"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// The environment of a writer: its directory, its round, the time at which it
// begins (unix seconds) and whether what a reader sees counts as answered.
const (
	writerEnv = "HOLDFAST_FORCE_WRITER"
	roundEnv  = "HOLDFAST_FORCE_ROUND"
	beginEnv  = "HOLDFAST_FORCE_BEGIN"
	shownEnv  = "HOLDFAST_FORCE_SHOWN"
	noSyncEnv = "HOLDFAST_FORCE_NOSYNC" // to see that a loss is seen
	runsEnv   = "HOLDFAST_FORCE_RUNS"   // provider records are in sorted runs
)

// Lines of a writer, each written at once, so that what was said has been said:
//
//	opened
//	begin NUMBER WHAT STANDS N LO HI EXTENDS MOST    before a write is asked for
//	end NUMBER                                       it was answered
//	sweep LIMIT, swept                          around a run of expiry
//	backup PATH                                 complete
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

// end reports the answer to a write. Those that refuse say that nothing stands.
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

// fail reports what must not be, and does not flood who listens.
func (v *voice) fail(err error) {
	v.say("error %v", err)
	pause(20 * time.Millisecond)
}

// author writes to a store in a time of its own, in which a write takes a second
// or two.
type author struct {
	voice
	stores
	round int
	clock atomic.Int64 // unix seconds
	shown bool
	dir   string
}

func (a *author) now(rng *rand.Rand) time.Time {
	return time.Unix(a.clock.Add(1+rng.Int64N(2)), 0)
}

// stores are what a writer writes to: a database, and where the provider records
// are, the same or sorted runs of their own.
type stores struct {
	db        *storage.DB
	providers providers
	runs      *runs.Store // nil: in the database
}

// providers is the part of records.Store that is about provider records.
type providers interface {
	AddProvider(now time.Time, key []byte, p records.Provider, durable bool) error
	RemoveProvider(now time.Time, key []byte, id kad.PeerID) error
	Providers(dst []records.Provider, now time.Time, key []byte, n int) ([]records.Provider, error)
	Expire(now time.Time) (records.Expired, error)
	Flush() error
}

// storeOptions are those of a writer's store: nothing waits long.
func storeOptions() storage.Options {
	return storage.Options{CommitWindow: 5 * time.Millisecond}
}

// runsOptions make happen all the time what a large store does once an hour: tables
// are full, runs are written, merged and dropped.
func runsOptions() runs.Options {
	return runs.Options{CommitWindow: 5 * time.Millisecond, TableRecords: 300, RotateEvery: 50 * time.Millisecond}
}

// openStores opens what is in a directory.
func openStores(dir string, split, readOnly, noSync bool) (s stores, err error) {
	o := storeOptions()
	o.ReadOnly, o.NoSync = readOnly, noSync
	if s.db, err = storage.Open(dir, o); err != nil {
		return s, err
	}
	s.providers = s.db
	if !split {
		return s, nil
	}
	ro := runsOptions()
	ro.ReadOnly, ro.NoSync = readOnly, noSync
	if s.runs, err = runs.Open(dir, ro); err != nil {
		return s, errors.Join(err, s.db.Close())
	}
	s.providers = s.runs
	return s, nil
}

func (s *stores) close() error {
	var err error
	if s.runs != nil {
		err = s.runs.Close()
	}
	return errors.Join(err, s.db.Close())
}

// writer is the process that is killed.
func writer(dir string) int {
	a := &author{dir: dir, shown: os.Getenv(shownEnv) != ""}
	s, err := openStores(dir, os.Getenv(runsEnv) != "", false, os.Getenv(noSyncEnv) != "")
	if err != nil {
		a.say("error open: %v", err)
		return 1
	}
	if q := s.db.Quarantined(); q != nil {
		a.say("error quarantined: %v", q.Reason)
	}
	a.say("opened")
	a.stores = s
	a.round, _ = strconv.Atoi(os.Getenv(roundEnv))
	begin, _ := strconv.ParseInt(os.Getenv(beginEnv), 10, 64)
	a.clock.Store(begin)
	var wg sync.WaitGroup
	for g, work := range []func(*rand.Rand, int){
		a.values, a.durable, a.durable, a.adverts, a.adverts, a.published, a.snapshots, a.expiry, a.rows,
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

// unique returns a number that no other write of this kind has had.
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

// addrsChange is what an announcement at now says of the addresses of a peer: a
// store may keep those it has while half of their time remains.
func addrsChange(id kad.PeerID, now time.Time) change {
	lo := now.Add(records.ProviderAddrTTL / 2).UnixNano()
	return change{what: "a:" + string(id), stands: true, lo: lo, hi: never, extends: true, most: lo}
}

// durable adds, refreshes and removes provider records that are answered.
func (a *author) durable(rng *rand.Rand, g int) {
	for {
		now := a.now(rng)
		id := kad.PeerID(fmt.Sprintf("durable%d-%d", g, rng.IntN(30)))
		key := fmt.Sprintf("content%d-%d", g, rng.IntN(300))
		if rng.IntN(10) == 0 {
			number := a.begin(change{what: "p:" + key + ":" + string(id)})
			a.end(number, a.providers.RemoveProvider(now, []byte(key), id), records.ErrNotFound)
			continue
		}
		p := providerAt(id, now, rng)
		number, addrs := a.begin(providerChange(key, id, now, p.Expires)), a.begin(addrsChange(id, now))
		if err := a.providers.AddProvider(now, []byte(key), p, true); err != nil {
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

// adverts adds provider records that nobody answers: they count once they are
// seen, or once a flush was answered.
func (a *author) adverts(rng *rand.Rand, g int) {
	for i := 0; ; {
		now := a.now(rng)
		var numbers []int
		var key string
		var last records.Provider
		for range 20 + rng.IntN(200) {
			k := fmt.Sprintf("advert%d-%d", g, a.unique(&i))
			p := providerAt(kad.PeerID(fmt.Sprintf("peer%d-%d", g, rng.IntN(2000))), now, rng)
			number := a.begin(providerChange(k, p.ID, now, p.Expires))
			switch err := a.providers.AddProvider(now, []byte(k), p, false); {
			case err == nil:
				key, last, numbers = k, p, append(numbers, number)
			case !errors.Is(err, records.ErrBusy):
				a.fail(err)
			}
		}
		if a.shown && len(numbers) > 0 && rng.IntN(2) == 0 {
			a.see(now, key, last.ID, numbers[len(numbers)-1])
			continue // the others may or may not be there
		}
		if err := a.providers.Flush(); err != nil {
			a.fail(err)
			continue
		}
		for _, n := range numbers {
			a.end(n, nil)
		}
	}
}

// see waits until a reader is shown a record.
func (a *author) see(now time.Time, key string, id kad.PeerID, number int) {
	for {
		ps, err := a.providers.Providers(nil, now, []byte(key), 100)
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
		case 1: // the schedule, of what is known only
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

// backup copies the store beside its directory.
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

// expiry removes what is due, and moves the clock: ten minutes now and then, two
// days forward or back rarely.
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
		for _, s := range []interface {
			Expire(time.Time) (records.Expired, error)
		}{a.db, a.providers} {
			for more := true; more; {
				x, err := s.Expire(now)
				if err != nil {
					a.fail(err)
				}
				more = x.More && err == nil
			}
		}
		a.say("swept")
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

// store is a directory that writers are killed in, with the model of what it must
// hold.
type store struct {
	t       *testing.T
	dir     string
	model   *model
	numbers map[int]int // of the running writer -> of the model
	round   int
	began   int // order of the model when the last writer began
	clock   int64
	split   bool // provider records are in sorted runs
	shown   bool // what was seen counts
	opened  int
	checked int // backups
	lines   int
}

// epochStart is where the writers' time begins.
var epochStart = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func newStore(t *testing.T, dir string, split bool) *store {
	return &store{t: t, dir: dir, model: newModel(), clock: epochStart.Unix(), split: split, shown: true}
}

// command is the writer, under the tracer if there is one.
func (s *store) command(tracer ...string) *victim {
	exe, err := os.Executable()
	require.NoError(s.t, err)
	args := append(tracer, exe)
	cmd := newVictim(args...)
	cmd.Env = append(os.Environ(), writerEnv+"="+s.dir, fmt.Sprint(roundEnv, "=", s.round), fmt.Sprint(beginEnv, "=", s.clock))
	if s.shown {
		cmd.Env = append(cmd.Env, shownEnv+"=1")
	}
	if s.split {
		cmd.Env = append(cmd.Env, runsEnv+"=1")
	}
	cmd.Stderr = os.Stderr
	return cmd
}

// written is what a writer has said until its end.
type written struct {
	opened  bool
	errors  []string
	backups []string
}

// write runs a writer until it is killed or ends by itself, and keeps the model.
// started and opened, if not nil, are called once it runs and has opened the store.
func (s *store) write(cmd *victim, started, opened func()) written {
	s.t.Helper()
	s.round++
	s.began = s.model.order
	s.numbers = map[int]int{}
	out, err := cmd.StdoutPipe()
	require.NoError(s.t, err)
	require.NoError(s.t, cmd.Start())
	if started != nil {
		started()
	}
	var w written
	lines := bufio.NewReaderSize(out, 1<<20)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			require.ErrorIs(s.t, err, io.EOF)
			break // a line that was cut has not been said
		}
		if line = strings.TrimSuffix(line, "\n"); line == "opened" {
			w.opened = true
			s.opened++
			if opened != nil {
				opened()
			}
			continue
		}
		s.line(line, &w)
	}
	cmd.reap()
	s.model.cut()
	return w
}

func (s *store) line(line string, w *written) {
	s.lines++
	verb, rest, _ := strings.Cut(line, " ")
	switch verb {
	case "begin":
		var number int
		var c change
		_, err := fmt.Sscan(rest, &number, &c.what, &c.stands, &c.n, &c.lo, &c.hi, &c.extends, &c.most)
		require.NoError(s.t, err, line)
		s.numbers[number] = s.model.begin(c)
	case "end":
		number, err := strconv.Atoi(rest)
		require.NoError(s.t, err)
		s.model.end(s.numbers[number])
		delete(s.numbers, number)
	case "sweep":
		limit, err := strconv.ParseInt(rest, 10, 64)
		require.NoError(s.t, err)
		s.model.sweep(limit)
	case "swept":
		s.model.sweepEnds()
	case "clock":
		clock, err := strconv.ParseInt(rest, 10, 64)
		require.NoError(s.t, err)
		s.clock = clock
	case "backup":
		w.backups = append(w.backups, rest)
	case "error":
		w.errors = append(w.errors, rest)
	default: // of the test binary itself
		s.t.Logf("writer: %s", line)
	}
}

// requireSound checks a closed store.
func requireSound(t *testing.T, dir string) {
	t.Helper()
	r, err := storage.Check(dir)
	require.NoError(t, err)
	require.Empty(t, r.Problems)
}

// requireSound checks all files.
func (s *store) requireSound() {
	s.t.Helper()
	requireSound(s.t, s.dir)
	if !s.split {
		return
	}
	o := runsOptions()
	o.ReadOnly = true
	r, err := runs.Open(s.dir, o)
	require.NoError(s.t, err)
	_, err = r.Check(func(format string, args ...any) { s.t.Errorf(format, args...) })
	require.NoError(s.t, errors.Join(err, r.Close()))
	require.False(s.t, s.t.Failed())
}

// verify opens the store and looks for everything. Closed properly, the next
// writer finds it clean; read-only, as the kill has left it.
func (s *store) verify(readOnly bool) {
	s.t.Helper()
	db, err := openStores(s.dir, s.split, readOnly, false)
	require.NoError(s.t, err, "it always starts")
	require.Nil(s.t, db.db.Quarantined())
	require.Empty(s.t, s.compare(&db))
	require.NoError(s.t, db.close())
}

// maxOld bounds the provider records of earlier rounds that a comparison looks
// for; which, is chance.
const maxOld = 4000

// compare holds the store against the model and says what is wrong.
func (s *store) compare(db *stores) (wrong []string) {
	old := 0
	for what, e := range s.model.entities {
		kind, key, _ := strings.Cut(what, ":")
		var err error
		switch kind {
		case "p":
			if e.is.order < s.began {
				if old++; old > maxOld {
					continue
				}
			}
			err = s.compareProvider(db.providers, key, e)
		case "a":
			continue // with the provider records
		default:
			err = s.compareAt(db.db, kind, key, e)
		}
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("%s: %v; %+v", what, err, *e))
		}
		s.model.forget(e)
	}
	return wrong
}

var (
	errServed = errors.New("is served after its time")
	errLost   = errors.New("is lost")
	errBack   = errors.New("is not what it was or may be")
)

// found returns what the store has of something at a time.
func found(db *storage.DB, at time.Time, kind, key string) (n int64, there bool, err error) {
	switch kind {
	case "v":
		v, err := db.Value(at, []byte(key))
		return lookedUp(err, func() (int64, error) { return strconv.ParseInt(string(v.Value[:19]), 10, 64) })
	case "k":
		p, err := db.Load(records.KindProvider, []byte(key))
		return lookedUp(err, func() (int64, error) { return p.Due.Unix(), nil })
	case "s":
		snap, err := db.LoadSnapshot()
		return lookedUp(err, func() (int64, error) { return snap.Taken.Unix(), nil })
	case "d":
		row, err := db.Datastore().Get(context.Background(), ds.NewKey(key))
		return lookedUp(err, func() (int64, error) { return strconv.ParseInt(string(row), 10, 64) })
	}
	panic("force: unknown kind " + kind)
}

func lookedUp(err error, number func() (int64, error)) (n int64, there bool, _ error) {
	if errors.Is(err, records.ErrNotFound) || errors.Is(err, ds.ErrNotFound) {
		return 0, false, nil
	}
	if err == nil {
		n, err = number()
	}
	return n, err == nil, err
}

// compareAt looks at something just before its time is over and at that time.
func (s *store) compareAt(db *storage.DB, kind, key string, e *entity) error {
	if hi := e.until(); hi > 0 && hi != never {
		if _, there, err := found(db, time.Unix(0, hi), kind, key); there || err != nil {
			return errors.Join(errServed, err)
		}
	}
	at := s.latest(e) - 1
	if e.is.stands {
		at = min(at, e.is.lo-1)
		for _, c := range e.maybe {
			if c.stands {
				at = min(at, c.lo-1)
			}
		}
	}
	n, there, err := found(db, time.Unix(0, at), kind, key)
	switch {
	case err != nil:
		return err
	case !there && s.model.must(e, at):
		return errLost
	case there && !e.allows(n, at):
		return fmt.Errorf("%w: %d", errBack, n)
	}
	s.model.settle(e, there, n, at)
	return nil
}

// latest is when something that may not be there would be there if it were: the
// latest expiry that was asked for, or now.
func (s *store) latest(e *entity) int64 {
	if hi := e.until(); hi > 0 {
		return hi
	}
	return s.clock * 1e9
}

func (s *store) compareProvider(db providers, name string, e *entity) error {
	key, id, _ := strings.Cut(name, ":")
	if _, served, err := foundProvider(db, e.until(), key, id); served || err != nil {
		return errors.Join(errServed, err)
	}
	at := s.latest(e) - 1e9
	addrs := s.model.entities["a:"+id]
	if e.is.stands {
		if at = min(at, e.is.lo-1e9); addrs != nil && addrs.is.stands {
			at = min(at, addrs.is.lo-1e9)
		}
	}
	p, there, err := foundProvider(db, at, key, id)
	switch {
	case err != nil:
		return err
	case !there && s.model.must(e, at):
		return errLost
	case there && !e.is.stands && len(e.maybe) == 0:
		return errBack
	case there && addrs != nil && s.model.must(addrs, at) && len(p.Addrs) == 0:
		return fmt.Errorf("has lost its addresses; %+v", *addrs)
	}
	s.model.settle(e, there, 0, at)
	return nil
}

func foundProvider(db providers, at int64, key, id string) (p records.Provider, there bool, err error) {
	ps, err := db.Providers(nil, time.Unix(0, at), []byte(key), 10_000)
	for _, p = range ps {
		if string(p.ID) == id {
			return p, true, err
		}
	}
	return p, false, err
}

// restore checks that backups are whole, and removes them.
func (s *store) restore(paths []string) {
	s.t.Helper()
	for _, path := range paths {
		f, err := os.Open(path)
		require.NoError(s.t, err)
		dir := s.t.TempDir()
		_, err = storage.Restore(dir, f)
		f.Close()
		require.NoError(s.t, err)
		requireSound(s.t, dir)
		require.NoError(s.t, os.RemoveAll(dir))
		s.checked++
	}
	left, err := filepath.Glob(s.dir + ".backup-*")
	require.NoError(s.t, err)
	for _, path := range left {
		os.Remove(path)
	}
}
