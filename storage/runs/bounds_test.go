package runs

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

func TestDefaults(t *testing.T) {
	require.Equal(t, []int64{20_000, 8 << 30, 1_000_000, 2_000_000, 8 << 20}, []int64{
		DefaultMaxPending, DefaultMaxBytes, records.DefaultMaxProviders, records.DefaultMaxRecordsPerProvider, MinMaxBytes,
	})
	o := Options{}.WithDefaults()
	require.Equal(t, []int64{DefaultMaxPending, min(DefaultMaxBytes, disk.MostBytes), records.DefaultMaxProvidersPerKey, records.DefaultMaxProviders, records.DefaultMaxRecordsPerProvider}, []int64{
		int64(o.MaxPending), o.MaxBytes, int64(o.MaxProvidersPerKey), int64(o.MaxProviders), int64(o.MaxRecordsPerProvider),
	})
	require.NoError(t, (&Options{MaxBytes: MinMaxBytes}).Validate())
	require.Error(t, (&Options{MaxBytes: MinMaxBytes - 1}).Validate())
}

// The queue accepts exactly as many writes as its limit.
func TestMaxPending(t *testing.T) {
	q := newQueue(100)
	put := func(n int) error {
		_, _, err := q.put(make([]op, n), 5, false)
		return err
	}
	require.NoError(t, put(3))
	require.ErrorIs(t, put(3), records.ErrBusy)
	require.NoError(t, put(2))
	require.ErrorIs(t, put(1), records.ErrBusy)
	require.Equal(t, 5, q.len())
	_, _, _ = q.next(0)
	require.ErrorIs(t, put(6), records.ErrBusy)
	require.NoError(t, put(5))
}

// A list longer than the queue's limit is stored, even while other writes wait.
func TestAddProvidersInParts(t *testing.T) {
	const pending = 40
	s := open(t, t.TempDir(), Options{NoSync: true, CommitWindow: time.Minute, MaxPending: pending})
	require.NoError(t, s.AddProvider(start, []byte("waits"), records.Provider{ID: "peer", Expires: start.Add(time.Hour)}, false))
	require.Equal(t, 1, s.queue.len())
	var ads []ProviderRecord
	for i := range 5*pending + 1 {
		ads = append(ads, ProviderRecord{fmt.Appendf(nil, "key %d", i), records.Provider{ID: "peer", Expires: start.Add(time.Hour)}})
	}
	refused, err := s.AddProviders(start, ads, true)
	require.NoError(t, err)
	require.Zero(t, refused)
	require.EqualValues(t, len(ads)+1, s.Stats().Records)
	checked(t, s)
}

// A batch and a gather keep a bounded amount of memory for their next use.
func TestKeptMemory(t *testing.T) {
	for over := range 2 {
		b := batch{ops: make([]op, 1, keepOps+over), arena: make([]byte, 1, keepArena+over)}
		b.reset()
		require.Equal(t, keepOps*(1-over), cap(b.ops))
		require.Equal(t, keepArena*(1-over), cap(b.arena))
		g := gather{list: make([]found, 1, keepFound+over)}
		g.reset()
		require.Equal(t, keepFound*(1-over), cap(g.list))
	}
}

// The addresses of a provider are cached if they have at most maxCachedRow bytes.
func TestMaxCachedRow(t *testing.T) {
	c := newRowCache(nil, DefaultProviderCache)
	require.Len(t, c.slots, DefaultProviderCache)
	for over := range 2 {
		f := &providerRow{number: 7, addrs: make([]byte, maxCachedRow+over)}
		c.replace(f)
		require.Equal(t, over == 0, c.slot(7).Load() == f)
	}
}

// The committer keeps at most this many providers whose tally is stored.
func TestProvidersCached(t *testing.T) {
	require.Equal(t, providersCached, Options{}.WithDefaults().shape.providers)
	c := newProviderCache(3)
	for i := range uint32(5) {
		c.insert(&provider{id: kad.PeerID(fmt.Sprint(i)), number: i, dirty: i == 0})
	}
	c.trim()
	require.Len(t, c.byID, 4)
	require.NotContains(t, c.byID, kad.PeerID("1"), "the least recently used")
	require.Contains(t, c.byID, kad.PeerID("0"), "its tally is not stored")
}

// The builder remembers the last flush of at most maxWritten epochs.
func TestMaxWritten(t *testing.T) {
	b := &builder{written: map[uint32]int{}}
	for i := range uint32(maxWritten) {
		b.noteFlush([]*run{{epoch: epochRef{id: i}}})
	}
	require.Len(t, b.written, maxWritten)
	b.noteFlush([]*run{{epoch: epochRef{id: maxWritten}}, {epoch: epochRef{id: maxWritten + 1}}})
	require.Len(t, b.written, 2)
}

// At most maxHot keys are known to be full.
func TestMaxHot(t *testing.T) {
	s := open(t, t.TempDir(), Options{NoSync: true, MaxProvidersPerKey: 1})
	add := func(id kad.PeerID, from, to int) {
		var ads []ProviderRecord
		for i := from; i < to; i++ {
			ads = append(ads, ProviderRecord{fmt.Appendf(nil, "key %d", i), records.Provider{ID: id, Expires: start.Add(time.Hour)}})
		}
		refused, err := s.AddProviders(start, ads, true)
		if id == "newcomer" {
			require.ErrorIs(t, err, records.ErrQuota)
			require.Equal(t, to-from, refused)
		} else {
			require.NoError(t, err)
		}
	}
	hot := func() (n int) {
		require.NoError(t, s.call("test", func(c *txn) error { n = len(c.led.hot); return nil }))
		return n
	}
	add("first", 0, maxHot+1)
	add("newcomer", 0, maxHot)
	require.Equal(t, maxHot, hot())
	add("newcomer", maxHot, maxHot+1)
	require.Equal(t, 1, hot())
	checked(t, s)
}

// While no table can be written out, maxTables are in memory, and a write that needs another
// one waits.
func TestMaxTables(t *testing.T) {
	o := tiny()
	s := open(t, t.TempDir(), o)
	add := func(i int) error {
		var ads []ProviderRecord
		for j := range o.TableRecords {
			ads = append(ads, ProviderRecord{fmt.Appendf(nil, "key %d %d", i, j), records.Provider{ID: "peer", Expires: start.Add(time.Hour)}})
		}
		_, err := s.AddProviders(start, ads, true)
		return err
	}
	tx, err := s.runs.Bolt.Begin(true) // the builder waits for it
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback() }) // so that a failure does not block Close
	for i := range maxTables {
		require.NoError(t, add(i))
	}
	require.Len(t, s.view.Load().tables, maxTables)
	waits := func() bool {
		stacks := make([]byte, 1<<20)
		return bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte("(*Store).await("))
	}
	done := make(chan error)
	go func() { done <- add(maxTables) }()
	require.Eventually(t, waits, time.Minute, time.Millisecond, "the committer waits for the builder")
	require.Len(t, s.view.Load().tables, maxTables)
	require.NoError(t, tx.Rollback())
	require.NoError(t, <-done)
	checked(t, s)
}

// One call of Expire removes expireStep providers and reports whether there are more.
func TestExpireStep(t *testing.T) {
	s := open(t, t.TempDir(), Options{NoSync: true})
	var ads []ProviderRecord
	for i := range expireStep + 1 {
		p := records.Provider{ID: kad.PeerID(fmt.Sprint("peer ", i)), Expires: start.Add(time.Hour)}
		ads = append(ads, ProviderRecord{[]byte("key"), p})
	}
	_, err := s.AddProviders(start, ads[:expireStep], true) // as many providers as a key may have
	require.NoError(t, err)
	ads[expireStep].Key = []byte("another key")
	_, err = s.AddProviders(start, ads[expireStep:], true)
	require.NoError(t, err)
	later := start.Add(100 * time.Hour)
	for _, left := range []int64{1, 0} {
		out, err := s.Expire(later)
		require.NoError(t, err)
		require.Equal(t, left, s.Stats().Providers)
		require.Equal(t, left > 0, out.More)
	}
	checked(t, s)
}

// Salvage copies at most the given number of records, intakeBatch per transaction.
func TestSalvageTakesSoMany(t *testing.T) {
	s := open(t, t.TempDir(), Options{NoSync: true})
	const most = intakeBatch + 1
	v := &salvage{in: intake{s: s}, left: most, whole: true, providers: map[uint32]*providerRow{7: {id: "peer"}}}
	for i := range most + 2 {
		v.take(&record{key: recordKey(fmt.Appendf(nil, "%016d", i)), number: 7, expires: seconds(start)})
		require.Equal(t, i+1 >= intakeBatch, s.Stats().Records == intakeBatch)
	}
	v.in.flush()
	require.NoError(t, v.in.err)
	require.EqualValues(t, most, s.Stats().Records)
	checked(t, s)
}
