package runs

import (
	"fmt"
	"math"
	"os"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
	"go.uber.org/goleak"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/records/storetest"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

func TestMain(m *testing.M) {
	if os.Getenv(crashChildEnv) != "" {
		crashChild()
		return
	}
	goleak.VerifyTestMain(m)
}

// start is the time at which the tests begin: a whole second, not close to a full hour.
var start = time.Date(2026, 3, 1, 12, 34, 56, 0, time.UTC)

// tiny makes everything happen often: four records per block, fifty per table.
func tiny() Options {
	return Options{
		NoSync: true, TableRecords: 50,
		shape: shape{block: 4, tail: 2, segment: 64, fan: 3},
	}
}

func open(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(dir, o)
	require.NoError(t, err)
	// Goroutines keep an open store in memory. A closed store can be collected before the end
	// of a test that opens thousands.
	weakly := weak.Make(s)
	t.Cleanup(func() {
		if s := weakly.Value(); s != nil {
			_ = s.Close()
		}
	})
	return s
}

// addAt adds record i, which expires an hour after now.
func (s *Store) addAt(now time.Time, i int, durable bool) error {
	p := records.Provider{ID: "peer", Addrs: [][]byte{{1}}, Expires: now.Add(time.Hour)}
	return s.AddProvider(now, []byte(fmt.Sprint("key", i)), p, durable)
}

// hasAt reports whether the store has record i at now.
func (s *Store) hasAt(t *testing.T, now time.Time, i int) bool {
	list, err := s.Providers(nil, now, []byte(fmt.Sprint("key", i)), 10)
	require.NoError(t, err)
	return len(list) > 0
}

// checked checks and closes a store.
func checked(t testing.TB, s *Store) {
	t.Helper()
	check(t, s)
	require.NoError(t, s.Close())
}

func check(t testing.TB, s *Store) Contents {
	t.Helper()
	var problems []string
	c, err := s.Check(func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) })
	require.NoError(t, err)
	require.Empty(t, problems)
	st := s.Stats()
	require.Equal(t, st.Records, c.Records)
	require.Equal(t, st.Providers, c.Providers)
	return c
}

// whole adds to a Store what it does not implement itself, for the shared suite.
type whole struct {
	*records.Mem
	s *Store
}

func (w whole) AddProvider(now time.Time, key []byte, p records.Provider, durable bool) error {
	return w.s.AddProvider(now, key, p, durable)
}

func (w whole) RemoveProvider(now time.Time, key []byte, id kad.PeerID) error {
	return w.s.RemoveProvider(now, key, id)
}

func (w whole) Providers(dst []records.Provider, now time.Time, key []byte, n int) ([]records.Provider, error) {
	return w.s.Providers(dst, now, key, n)
}

func (w whole) Expire(now time.Time) (records.Expired, error) {
	a, err := w.Mem.Expire(now)
	if err != nil {
		return a, err
	}
	b, err := w.s.Expire(now)
	a.Records[records.KindProvider] = b.Records[records.KindProvider]
	a.More = a.More || b.More
	return a, err
}

func (w whole) Stats() records.Stats {
	a, b := w.Mem.Stats(), w.s.RecordStats()
	k := records.KindProvider
	a.Records[k], a.Bytes[k], a.ExpiredRecords[k] = b.Records[k], b.Bytes[k], b.ExpiredRecords[k]
	a.Providers, a.PendingWrites = b.Providers, b.PendingWrites
	a.RefusedWrites += b.RefusedWrites
	return a
}

func (w whole) Flush() error { return w.s.Flush() }
func (w whole) Close() error { return w.s.Close() }

func testSuite(t *testing.T, o Options) {
	storetest.Run(t, func(t *testing.T) (storetest.Stores, storetest.Reopen) {
		dir := t.TempDir()
		w := &whole{Mem: records.NewMem(nil), s: open(t, dir, o)}
		t.Cleanup(func() {
			s, err := Open(dir, o)
			if err == nil {
				checked(t, s)
			}
		})
		return w, func() storetest.Stores {
			checked(t, w.s)
			w = &whole{Mem: w.Mem, s: open(t, dir, o)}
			return w
		}
	})
}

func TestSuite(t *testing.T) {
	t.Run("default", func(t *testing.T) { testSuite(t, Options{NoSync: true}) })
	t.Run("tiny", func(t *testing.T) { testSuite(t, tiny()) })
}

// The files never exceed the address space of this machine, whatever is configured.
func TestMaxBytesFitTheMachine(t *testing.T) {
	require.Equal(t, disk.MostBytes, Options{MaxBytes: math.MaxInt64}.WithDefaults().MaxBytes)
}

// TestPerKeyOverRuns checks that the bound on a key's providers applies whether their copies
// are in memory or in several runs. Each run only reports "many" copies, the sum of which
// once overflowed a 32-bit int.
func TestPerKeyOverRuns(t *testing.T) {
	const most = 300
	s := open(t, t.TempDir(), Options{NoSync: true, MaxProvidersPerKey: most})
	n := 0
	add := func(count int) (refused int) {
		for range count {
			n++
			p := records.Provider{ID: kad.PeerID(fmt.Sprint("provider ", n)), Expires: start.Add(48 * time.Hour)}
			if err := s.AddProvider(start, []byte("hot"), p, true); err != nil {
				require.ErrorIs(t, err, records.ErrQuota)
				refused++
			}
		}
		return refused
	}
	require.Zero(t, add(200))
	require.NoError(t, s.Rotate())
	require.Zero(t, add(100))
	require.NoError(t, s.Rotate())
	require.Equal(t, 50, add(50))
	got, err := s.Providers(nil, start, []byte("hot"), 1<<20)
	require.NoError(t, err)
	require.Len(t, got, most)
}

// A copy in a run that was stored while the clock was ahead is replaced by a current record,
// also after a crash.
func TestClockAhead(t *testing.T) {
	dir := t.TempDir()
	o := tiny()
	s := open(t, dir, o)
	add := func(now time.Time) {
		p := records.Provider{ID: "provider", Addrs: [][]byte{{1}}, Expires: now.Add(records.MaxTTL)}
		require.NoError(t, s.AddProvider(now, []byte("key"), p, true))
	}
	served := func(now time.Time) (n int) {
		got, err := s.Providers(nil, now, []byte("key"), 10)
		require.NoError(t, err)
		return len(got)
	}
	ahead := start.Add(365 * 24 * time.Hour)
	add(ahead)
	require.NoError(t, s.Rotate())
	require.Equal(t, 1, s.Stats().Runs)
	require.Zero(t, served(start))
	add(start)
	killed(t, s)
	s = open(t, dir, o)
	for range 2 {
		check(t, s)
		require.Equal(t, 1, served(start))
		require.Zero(t, served(start.Add(records.MaxTTL)))
		require.Zero(t, served(ahead))
		require.NoError(t, s.Rotate()) // the second time from runs
	}
	_, err := s.Expire(start.Add(records.MaxTTL + 5*time.Hour))
	require.NoError(t, err)
	require.Zero(t, s.Stats().Records)
	require.Zero(t, s.Stats().Providers)
	checked(t, s)
}

// If the file has lost a run of the view, this is damage. Readers get an error and do not
// wait for another view.
func TestRunIsMissing(t *testing.T) {
	s := open(t, t.TempDir(), tiny())
	add := func(key string) error {
		return s.AddProvider(start, []byte(key), records.Provider{ID: "p", Expires: start.Add(time.Hour)}, true)
	}
	require.NoError(t, add("k"))
	require.NoError(t, s.Rotate())
	r := s.view.Load().runs[0]
	require.NoError(t, s.runs.Update(func(tx *bbolt.Tx) error { return deleteRun(tx, r.number) }))

	named := fmt.Sprintf("run %d is missing", r.number)
	_, err := s.Providers(nil, start, []byte("k"), 10)
	require.ErrorIs(t, err, ErrCorrupt)
	require.ErrorContains(t, err, named)
	err = add("k")
	require.ErrorIs(t, err, ErrCorrupt)
	require.ErrorContains(t, err, named)
	err = s.runs.View(func(tx *bbolt.Tx) error {
		_, err := (&builder{s: s}).mergeSegment(tx, &merge{inputs: []*run{r}})
		return err
	})
	require.ErrorIs(t, err, ErrCorrupt)
	require.ErrorContains(t, err, named)
	key := recordKeyOf([]byte("k"))
	require.False(t, s.known(seconds(start), &key, "p"))
	_, err = s.Providers(nil, start, []byte("another"), 10)
	require.NoError(t, err)
}
