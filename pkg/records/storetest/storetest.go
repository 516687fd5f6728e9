package storetest

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// Stores is the subject of the tests: all stores of a node.
type Stores interface {
	records.Store
	records.Keystore
	records.Snapshots
}

// Reopen closes a store and opens it again on the same data. It is nil for a store in memory.
type Reopen func() Stores

// Open creates an empty store with default settings. The suite closes stores that are
// io.Closers. Open registers all other cleanup with t.
type Open func(t *testing.T) (Stores, Reopen)

// start is the time at which the tests begin: a whole second, not close to a full hour.
var start = time.Date(2026, 3, 1, 12, 34, 56, 0, time.UTC)

// Run runs the whole suite.
func Run(t *testing.T, open Open) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, f *fixture)
	}{
		{"Empty", testEmpty},
		{"ValueLifetime", testValueLifetime},
		{"ValueBest", testValueBest},
		{"ValueRefresh", testValueRefresh},
		{"ValueEnds", testValueEnds},
		{"ValueRefused", testValueRefused},
		{"ValueExpire", testValueExpire},
		{"ProviderLifetime", testProviderLifetime},
		{"ProviderRefresh", testProviderRefresh},
		{"ProviderAddrs", testProviderAddrs},
		{"ProviderRemove", testProviderRemove},
		{"ProviderSubset", testProviderSubset},
		{"ProviderQuota", testProviderQuota},
		{"ProviderRefused", testProviderRefused},
		{"ProviderExpire", testProviderExpire},
		{"ProviderQueued", testProviderQueued},
		{"ClockJumps", testClockJumps},
		{"ClockAhead", testClockAhead},
		{"ClockAheadAddrs", testClockAheadAddrs},
		{"ClockAheadQuota", testClockAheadQuota},
		{"Namespaces", testNamespaces},
		{"Published", testPublished},
		{"PublishedRefused", testPublishedRefused},
		{"Range", testRange},
		{"RangeMany", testRangeMany},
		{"UnpublishAll", testUnpublishAll},
		{"Snapshots", testSnapshots},
		{"SnapshotBounds", testSnapshotBounds},
		{"Ownership", testOwnership},
		{"Concurrent", testConcurrent},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, reopen := open(t)
			f := &fixture{T: t, Stores: s, reopen: reopen}
			defer f.close()
			c.test(t, f)
		})
	}
	t.Run("Model", func(t *testing.T) { testModel(t, open) })
}

// fixture is a store under test.
type fixture struct {
	*testing.T
	Stores
	reopen Reopen
}

// restart reopens the store if possible.
func (f *fixture) restart() {
	if f.reopen != nil {
		f.Stores = f.reopen()
	}
}

func (f *fixture) close() {
	if c, ok := f.Stores.(io.Closer); ok {
		require.NoError(f, c.Close())
	}
}

// flush waits for queued writes, if the store has a queue.
func (f *fixture) flush() {
	if q, ok := f.Stores.(interface{ Flush() error }); ok {
		require.NoError(f, q.Flush())
	}
}

// expire removes everything that is due and returns how much it removed.
func (f *fixture) expire(now time.Time) (removed [records.NumKinds]int64) {
	for more := true; more; {
		out, err := f.Expire(now)
		require.NoError(f, err)
		for k, n := range out.Records {
			removed[k] += n
		}
		more = out.More
	}
	return removed
}

func (f *fixture) put(now time.Time, key, value string, expires time.Time, better records.Better) error {
	return f.PutValue(now, records.Value{Key: []byte(key), Value: []byte(value), Received: now, Expires: expires}, better)
}

// value returns the value under key, or "" if there is none.
func (f *fixture) value(now time.Time, key string) string {
	v, err := f.Value(now, []byte(key))
	if err != nil {
		require.ErrorIs(f, err, records.ErrNotFound)
		return ""
	}
	require.Equal(f, key, string(v.Key))
	require.True(f, v.Live(now), "an expired value was served")
	return string(v.Value)
}

// provide stores durably that id provides key, with one address.
func (f *fixture) provide(now time.Time, key string, id kad.PeerID, expires time.Time) error {
	p := records.Provider{ID: id, Addrs: [][]byte{[]byte("addr of " + id)}, Expires: expires}
	return f.AddProvider(now, []byte(key), p, true)
}

// providers returns the live providers of key by ID.
func (f *fixture) providers(now time.Time, key string) map[kad.PeerID]records.Provider {
	list, err := f.Providers(nil, now, []byte(key), 1<<20)
	require.NoError(f, err)
	out := make(map[kad.PeerID]records.Provider)
	for _, p := range list {
		require.NotContains(f, out, p.ID, "a provider was returned twice")
		require.True(f, now.Before(p.Expires), "an expired record was served")
		if len(p.Addrs) > 0 {
			require.True(f, now.Before(p.AddrsExpire), "expired addresses were served")
		}
		out[p.ID] = p
	}
	return out
}

func peerID(i int) kad.PeerID { return kad.PeerID(fmt.Sprintf("peer-%06d", i)) }

func testEmpty(t *testing.T, f *fixture) {
	_, err := f.Value(start, []byte("k"))
	require.ErrorIs(t, err, records.ErrNotFound)
	require.ErrorIs(t, f.DeleteValue([]byte("k")), records.ErrNotFound)
	require.ErrorIs(t, f.RemoveProvider(start, []byte("k"), "p"), records.ErrNotFound)
	require.Empty(t, f.providers(start, "k"))
	_, err = f.Load(records.KindValue, []byte("k"))
	require.ErrorIs(t, err, records.ErrNotFound)
	require.ErrorIs(t, f.Unpublish(records.KindValue, []byte("k")), records.ErrNotFound)
	require.NoError(t, f.Done(records.KindProvider, []byte("k"), start, start))
	require.NoError(t, f.Range(kad.Prefix{}, func(records.Published) bool { t.Fatal("a key in an empty store"); return false }))
	_, err = f.LoadSnapshot()
	require.ErrorIs(t, err, records.ErrNotFound)
	require.Zero(t, f.expire(start))
	require.Zero(t, f.Stats())
}
