package runs

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// TestConcurrent runs writers, removers, readers, expiry and backups concurrently, while
// tables are written out, merged and dropped. Acknowledged records are visible at once and
// until they are removed.
func TestConcurrent(t *testing.T) {
	o := tiny()
	o.TableRecords = 300
	dir := t.TempDir()
	s := open(t, dir, o)
	var clock atomic.Int64
	clock.Store(start.Unix())
	deadline := time.Now().Add(4 * time.Second)
	if testing.Short() {
		deadline = time.Now().Add(time.Second)
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			w := &writerTwin{t: t, s: s, g: g, clock: &clock, rng: rand.New(rand.NewPCG(uint64(g), 0)), known: map[[2]string]int64{}}
			for i := 0; time.Now().Before(deadline) && !t.Failed(); i++ {
				w.step(i)
			}
		})
	}
	for g := range 2 {
		wg.Go(func() { // keys of all writers: checks for errors and wrong order only
			rng := rand.New(rand.NewPCG(uint64(g), 1))
			var dst []records.Provider
			for time.Now().Before(deadline) && !t.Failed() {
				now := time.Unix(clock.Load(), 0)
				var err error
				dst, err = s.Providers(dst[:0], now, fmt.Append(nil, "k", rng.IntN(4), "-", rng.IntN(100)), 1+rng.IntN(20))
				if err != nil {
					t.Error(err)
				}
				seen := map[kad.PeerID]bool{}
				for _, p := range dst {
					if seen[p.ID] || !now.Before(p.Expires) || p.ID == "" {
						t.Errorf("returned %+v at %s", dst, now)
					}
					seen[p.ID] = true
				}
			}
		})
	}
	wg.Go(func() {
		for time.Now().Before(deadline) && !t.Failed() {
			clock.Add(60)
			if _, err := s.Expire(time.Unix(clock.Load(), 0)); err != nil {
				t.Error(err)
			}
			s.Stats()
			s.Sizes()
		}
	})
	wg.Go(func() {
		for time.Now().Before(deadline) && !t.Failed() {
			backup := t.TempDir()
			copyTo(t, s, backup)
			checked(t, open(t, backup, o))
			s.Check(func(format string, args ...any) { t.Errorf(format, args...) })
		}
	})
	wg.Wait()
	t.Logf("%+v", s.Stats())
	checked(t, s)
}

// writerTwin writes keys that no other goroutine writes, and records what it wrote.
type writerTwin struct {
	t     *testing.T
	s     *Store
	g     int
	clock *atomic.Int64
	rng   *rand.Rand
	known map[[2]string]int64
}

func (w *writerTwin) step(i int) {
	now := time.Unix(w.clock.Load(), 0)
	key, id := fmt.Sprint("k", w.g, "-", w.rng.IntN(100)), kad.PeerID(fmt.Sprint("p", w.rng.IntN(20)))
	k := [2]string{key, string(id)}
	old := w.known[k]
	switch w.rng.IntN(10) {
	case 0:
		err := w.s.RemoveProvider(now, []byte(key), id)
		if old > now.Unix() && err != nil && w.clock.Load() < now.Unix()+3600 {
			w.t.Errorf("remove %v until %d at %d: %v", k, old, now.Unix(), err)
		}
		delete(w.known, k)
	default:
		expires := now.Add(time.Duration(3600+w.rng.IntN(6*3600)) * time.Second)
		if err := w.s.AddProvider(now, []byte(key), records.Provider{ID: id, Expires: expires}, true); err != nil {
			w.t.Errorf("add: %v", err)
		}
		if old <= now.Unix() {
			old = 0
		}
		w.known[k] = max(old, expires.Unix())
	}
	w.look(now, key, id)
}

// look reads a key and compares it.
func (w *writerTwin) look(now time.Time, key string, id kad.PeerID) {
	list, err := w.s.Providers(nil, now, []byte(key), 100)
	if err != nil {
		w.t.Error(err)
	}
	if w.clock.Load() > now.Unix()+3600 {
		return // this goroutine fell behind; its records may have been dropped
	}
	got := map[string]int64{}
	for _, p := range list {
		got[string(p.ID)] = p.Expires.Unix()
	}
	for i := range 20 {
		k := [2]string{key, fmt.Sprint("p", i)}
		want := w.known[k]
		if want <= now.Unix() {
			want = 0
		}
		if got[k[1]] != want {
			w.t.Errorf("%v: %d is stored, %d was acknowledged, at %d (last write %s)", k, got[k[1]], want, now.Unix(), id)
		}
	}
}

// TestQueueFull checks that a full queue refuses new records first and known records later,
// and durable writes last.
func TestQueueFull(t *testing.T) {
	o := Options{NoSync: true, CommitWindow: time.Minute, MaxPending: 40}
	s := open(t, t.TempDir(), o)
	s.queue.eager = 1000 // the queue must not empty itself
	require.NoError(t, s.addAt(start, 0, true))
	for i := range 30 {
		require.NoError(t, s.addAt(start, 1+i, false))
	}
	require.ErrorIs(t, s.addAt(start, 99, false), records.ErrBusy)
	for range 10 {
		require.NoError(t, s.addAt(start, 0, false), "a republished record still fits")
	}
	require.ErrorIs(t, s.addAt(start, 0, false), records.ErrBusy)
	require.EqualValues(t, 2, s.Stats().Refused.Busy)
	require.EqualValues(t, 40, s.Stats().Pending)
	require.NoError(t, s.addAt(start, 100, true))
	for i := range 31 {
		require.True(t, s.hasAt(t, start, i))
	}
	require.False(t, s.hasAt(t, start, 99))
	checked(t, s)
}

// TestHotKey checks that a flooded key keeps its providers and refuses new ones, and that
// refusing them is cheap.
func TestHotKey(t *testing.T) {
	s := open(t, t.TempDir(), Options{NoSync: true})
	add := func(i int, at time.Time) error {
		p := records.Provider{ID: kad.PeerID(fmt.Sprint("peer", i)), Expires: at.Add(time.Hour + time.Duration(i)*time.Second)}
		return s.AddProvider(at, []byte("hot"), p, true)
	}
	for i := range records.DefaultMaxProvidersPerKey {
		require.NoError(t, add(i, start))
	}
	for i := range 5000 {
		require.ErrorIs(t, add(10_000+i, start), records.ErrQuota)
	}
	require.EqualValues(t, 5000, s.Stats().Refused.PerKey)
	require.EqualValues(t, records.DefaultMaxProvidersPerKey, s.Stats().Providers, "a refused provider is not stored")
	require.NoError(t, add(7, start.Add(time.Minute)))
	list, err := s.Providers(nil, start, []byte("hot"), 20)
	require.NoError(t, err)
	require.Len(t, list, 20)
	require.NoError(t, add(20_000, start.Add(time.Hour)), "the first has expired")
	checked(t, s)
}

// TestMaxBytes checks that new records are refused before the files reach their bound, that
// known ones can still be republished, and that the store recovers when epochs are dropped.
func TestMaxBytes(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{NoSync: true, MaxBytes: MinMaxBytes, MaxPending: 1 << 20})
	w := newWorkload(1)
	now := start
	refused := 0
	for i := 0; refused == 0 && i < 100; i++ {
		now = now.Add(10 * time.Minute)
		var err error
		refused, err = s.AddProviders(now, w.batch(10_000, now), true)
		if refused > 0 {
			require.ErrorIs(t, err, ErrFull)
		}
	}
	st := s.Stats()
	require.Positive(t, refused)
	require.EqualValues(t, refused, st.Refused.Full)
	require.Greater(t, st.Records, int64(200_000))
	fresh := w.record(5, now.Add(records.MaxTTL))
	require.NoError(t, s.AddProvider(now, fresh.Key, fresh.Provider, true), "a republished record")
	for i := range uint64(200) { // until even republished records do not fit
		var ads []ProviderRecord
		for j := range uint64(10_000) {
			ads = append(ads, w.record((i*10_000+j)%uint64(st.Records), now.Add(records.MaxTTL)))
		}
		now = now.Add(time.Minute)
		if _, err := s.AddProviders(now, ads, true); err != nil {
			require.ErrorIs(t, err, ErrFull)
			break
		}
	}
	sizes := s.Sizes()
	require.LessOrEqual(t, sizes.Log+sizes.Runs, int64(MinMaxBytes))
	list, err := s.Providers(nil, now, fresh.Key, 10)
	require.NoError(t, err)
	require.NotEmpty(t, list)
	now = now.Add(100 * time.Hour)
	require.Eventually(t, func() bool {
		out, err := s.Expire(now)
		return err == nil && !out.More && s.Stats().Records == 0
	}, 2*time.Minute, time.Millisecond)
	require.Eventually(t, func() bool { // the next commits empty the log
		_, err = s.AddProviders(now, w.batch(10_000, now), true)
		return err == nil
	}, 2*time.Minute, time.Millisecond, "%v", err)
	checked(t, s)
}
