package storage

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	ds "github.com/ipfs/go-datastore"
	dsq "github.com/ipfs/go-datastore/query"
	dstest "github.com/ipfs/go-datastore/test"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// clock is a time that tests advance.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// openDatastore opens a datastore with a test clock. At the end of the test, the datastore
// and its file are checked.
func openDatastore(t testing.TB, dir string, o Options) (*Datastore, *clock) {
	t.Helper()
	c := &clock{t: start}
	d := openTest(t, dir, o).Datastore()
	d.now = c.now
	t.Cleanup(func() { require.NoError(t, d.Check(context.Background())) })
	return d, c
}

// contents returns all rows that a query finds.
func contents(t testing.TB, d ds.Read, q dsq.Query) map[string]string {
	t.Helper()
	r, err := d.Query(context.Background(), q)
	require.NoError(t, err)
	defer r.Close()
	all, err := r.Rest()
	require.NoError(t, err)
	out := make(map[string]string, len(all))
	for _, e := range all {
		out[e.Key] = string(e.Value)
	}
	require.Len(t, out, len(all), "duplicate keys")
	return out
}

// TestDatastoreSuite is go-datastore's own suite.
func TestDatastoreSuite(t *testing.T) {
	if testing.Short() {
		defer func(n int) { dstest.ElemCount = n }(dstest.ElemCount)
		dstest.ElemCount = 20
	}
	d, err := OpenDatastore(t.TempDir(), Options{Options: runs.Options{NoSync: true}})
	require.NoError(t, err)
	dstest.SubtestAll(t, d)
	require.NoError(t, d.Check(t.Context()))
	require.NoError(t, d.Close())
	requireSound(t, d.db.path[:len(d.db.path)-len(FileName)])
}

func TestDatastoreFeatures(t *testing.T) {
	d, _ := openDatastore(t, t.TempDir(), Options{})
	var names []string
	for _, f := range ds.FeaturesForDatastore(d) {
		names = append(names, f.Name)
	}
	require.Equal(t, []string{"Batching", "Checked", "GC", "Persistent", "TTL", "Transaction"}, names)
	size, err := ds.DiskUsage(t.Context(), d)
	require.NoError(t, err)
	require.Positive(t, size)
}

// TestDatastoreTTL checks that a row exists until the instant of its expiry for every caller,
// and that a restart does not change that.
func TestDatastoreTTL(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	db, err := Open(dir, Options{})
	require.NoError(t, err)
	c := &clock{t: start}
	d := db.Datastore()
	d.now = c.now
	key, stays := ds.NewKey("/a/ttl"), ds.NewKey("/a/stays")
	require.NoError(t, d.PutWithTTL(ctx, key, []byte("v"), time.Minute))
	require.NoError(t, d.Put(ctx, stays, nil))
	require.NoError(t, db.Close())

	d, c = openDatastore(t, dir, Options{})
	c.advance(time.Minute - 1)
	v, err := d.Get(ctx, key)
	require.NoError(t, err)
	require.Equal(t, "v", string(v))
	exp, err := d.GetExpiration(ctx, key)
	require.NoError(t, err)
	require.True(t, exp.Equal(start.Add(time.Minute)))
	exp, err = d.GetExpiration(ctx, stays)
	require.NoError(t, err)
	require.True(t, exp.IsZero())
	q, err := d.Query(ctx, dsq.Query{ReturnExpirations: true, Prefix: "/a"})
	require.NoError(t, err)
	r, ok := q.NextSync()
	require.True(t, ok)
	require.Equal(t, stays.String(), r.Key)

	c.advance(1)
	_, ok = q.NextSync()
	require.False(t, ok, "a query that began earlier returns an expired row")
	_, err = d.Get(ctx, key)
	require.Equal(t, ds.ErrNotFound, err)
	has, err := d.Has(ctx, key)
	require.NoError(t, err)
	require.False(t, has)
	size, err := d.GetSize(ctx, key)
	require.Equal(t, ds.ErrNotFound, err)
	require.Equal(t, -1, size)
	_, err = d.GetExpiration(ctx, key)
	require.Equal(t, ds.ErrNotFound, err)
	require.Equal(t, ds.ErrNotFound, d.SetTTL(ctx, key, time.Hour), "revived")
	require.Len(t, contents(t, d, dsq.Query{}), 1)
}

func TestDatastoreSetTTL(t *testing.T) {
	ctx := t.Context()
	d, c := openDatastore(t, t.TempDir(), Options{})
	key := ds.NewKey("k")
	expires := func(want time.Duration) {
		t.Helper()
		exp, err := d.GetExpiration(ctx, key)
		require.NoError(t, err)
		require.True(t, exp.Equal(c.now().Add(want)), exp)
		v, err := d.Get(ctx, key)
		require.NoError(t, err)
		require.Equal(t, "v", string(v))
	}
	require.Equal(t, ds.ErrNotFound, d.SetTTL(ctx, key, time.Hour))
	require.NoError(t, d.Put(ctx, key, []byte("v")))
	require.NoError(t, d.SetTTL(ctx, key, time.Hour))
	expires(time.Hour)
	c.advance(time.Minute)
	require.NoError(t, d.SetTTL(ctx, key, time.Hour), "restarts the lifetime")
	expires(time.Hour)
	require.NoError(t, d.SetTTL(ctx, key, 1<<63-1))
	require.NoError(t, d.Put(ctx, key, []byte("w")), "without a TTL again")
	exp, err := d.GetExpiration(ctx, key)
	require.NoError(t, err)
	require.True(t, exp.IsZero())
	require.NoError(t, d.SetTTL(ctx, key, 0))
	_, err = d.Get(ctx, key)
	require.Equal(t, ds.ErrNotFound, err)
	require.NoError(t, d.Put(ctx, key, []byte("v")))
	require.NoError(t, d.PutWithTTL(ctx, key, []byte("w"), -time.Second))
	_, err = d.Get(ctx, key)
	require.Equal(t, ds.ErrNotFound, err)
}

// TestDatastoreCollectGarbage removes all due rows in several steps, and none that would be
// live again if the clock went back.
func TestDatastoreCollectGarbage(t *testing.T) {
	ctx := t.Context()
	d, c := openDatastore(t, t.TempDir(), Options{Options: runs.Options{NoSync: true}})
	b, err := d.Batch(ctx)
	require.NoError(t, err)
	require.NoError(t, b.Put(ctx, ds.NewKey("stays"), []byte("v")))
	require.NoError(t, b.Commit(ctx))
	const n = 3*dsStep + 7
	var wg sync.WaitGroup
	for g := range 50 {
		wg.Go(func() {
			for i := g; i < n; i += 50 {
				require.NoError(t, d.PutWithTTL(ctx, ds.NewKey(strconv.Itoa(i)), []byte("v"), time.Minute+time.Duration(i)))
			}
		})
	}
	wg.Wait()
	require.NoError(t, d.PutWithTTL(ctx, ds.NewKey("7"), []byte("renewed"), 3*time.Hour))
	rows := func() (rows, entries int) {
		require.NoError(t, d.db.view("test", func(tx *bbolt.Tx) error {
			rows = tx.Bucket(bucketDatastore).Stats().KeyN
			entries = tx.Bucket(bucketDatastoreExpiry).Stats().KeyN
			return nil
		}))
		return rows, entries
	}
	c.advance(2 * time.Minute)
	require.Len(t, contents(t, d, dsq.Query{}), 2)
	require.NoError(t, d.CollectGarbage(ctx))
	got, _ := rows()
	require.Equal(t, n+1, got, "within the grace period")
	c.advance(time.Hour)
	written := func() int64 { st := d.db.file.Bolt.Stats(); return st.TxStats.GetWrite() }
	before := written()
	require.NoError(t, d.CollectGarbage(ctx))
	got, entries := rows()
	require.Equal(t, 2, got)
	require.Equal(t, 1, entries)
	require.Less(t, written()-before, int64(1000), "pages written")
	before = written()
	require.NoError(t, d.CollectGarbage(ctx))
	require.Equal(t, before, written(), "a commit without any change")
	ended, cancel := context.WithCancel(ctx)
	cancel()
	c.advance(5 * time.Hour)
	require.ErrorIs(t, d.CollectGarbage(ended), context.Canceled)
}

func TestDatastoreBounds(t *testing.T) {
	ctx := t.Context()
	d, _ := openDatastore(t, t.TempDir(), Options{Options: runs.Options{NoSync: true}})
	long := ds.NewKey(strings.Repeat("k", MaxDatastoreKey-1))
	require.NoError(t, d.PutWithTTL(ctx, long, make([]byte, MaxDatastoreValue), time.Hour))
	size, err := d.GetSize(ctx, long)
	require.NoError(t, err)
	require.Equal(t, MaxDatastoreValue, size)
	tooLong := ds.NewKey(strings.Repeat("k", MaxDatastoreKey))
	require.ErrorIs(t, d.Put(ctx, tooLong, nil), records.ErrTooLarge)
	require.ErrorIs(t, d.Put(ctx, ds.NewKey("k"), make([]byte, MaxDatastoreValue+1)), records.ErrTooLarge)
	_, err = d.Get(ctx, tooLong)
	require.Equal(t, ds.ErrNotFound, err)
	require.ErrorIs(t, d.Put(ctx, ds.Key{}, nil), records.ErrInvalid)
	require.NoError(t, d.Delete(ctx, ds.Key{}))
	_, err = d.Get(ctx, ds.Key{})
	require.Equal(t, ds.ErrNotFound, err)
	require.NoError(t, d.Put(ctx, ds.NewKey(""), []byte("root")))

	b, err := d.Batch(ctx)
	require.NoError(t, err)
	for i := range MaxDatastoreBatch / (MaxDatastoreValue + dsOpCost + 10) {
		require.NoError(t, b.Put(ctx, ds.NewKey(strconv.Itoa(i)), make([]byte, MaxDatastoreValue)))
	}
	require.ErrorIs(t, b.Put(ctx, ds.NewKey("more"), make([]byte, MaxDatastoreValue)), records.ErrTooLarge)
	require.NoError(t, b.Put(ctx, ds.NewKey("0"), nil), "frees capacity")
	require.NoError(t, b.Put(ctx, ds.NewKey("more"), make([]byte, MaxDatastoreValue)))
}

// TestDatastoreQueryWhileWriting queries while rows change. Each unchanged row is returned
// exactly once.
func TestDatastoreQueryWhileWriting(t *testing.T) {
	ctx := t.Context()
	d, _ := openDatastore(t, t.TempDir(), Options{Options: runs.Options{NoSync: true}})
	b, err := d.Batch(ctx)
	require.NoError(t, err)
	const n = 5 * dsSlice
	for i := range n {
		require.NoError(t, b.Put(ctx, ds.NewKey(fmt.Sprintf("/p/%06d/s", i)), []byte(strconv.Itoa(i))))
		require.NoError(t, b.Put(ctx, ds.NewKey(fmt.Sprintf("/p2/%06d/s", i)), nil))
	}
	require.NoError(t, b.Commit(ctx))
	q, err := d.Query(ctx, dsq.Query{Prefix: "/p", Orders: []dsq.Order{dsq.OrderByKey{}}})
	require.NoError(t, err)
	seen := 0
	last := ""
	for r := range q.Next() {
		require.NoError(t, r.Error)
		require.Greater(t, r.Key, last)
		last = r.Key
		if strings.HasSuffix(r.Key, "/s") {
			seen++
		}
		if seen%100 == 0 {
			require.NoError(t, d.Put(ctx, ds.NewKey(fmt.Sprintf("/p/%06d/t", (seen*7)%n)), nil))
			require.NoError(t, d.Delete(ctx, ds.NewKey(fmt.Sprintf("/p/%06d/t", (seen*3)%n))))
		}
	}
	require.Equal(t, n, seen)

	ended, cancel := context.WithCancel(ctx)
	q, err = d.Query(ended, dsq.Query{Prefix: "/p"})
	require.NoError(t, err)
	_, ok := q.NextSync()
	require.True(t, ok)
	cancel()
	r, ok := q.NextSync()
	require.True(t, ok)
	require.ErrorIs(t, r.Error, context.Canceled)
	_, ok = q.NextSync()
	require.False(t, ok)
	_, err = d.Query(ended, dsq.Query{})
	require.ErrorIs(t, err, context.Canceled)
}

// TestDatastoreKeysOnly checks that filters and orders by value work although values are not
// returned.
func TestDatastoreKeysOnly(t *testing.T) {
	ctx := t.Context()
	d, _ := openDatastore(t, t.TempDir(), Options{})
	for _, k := range []string{"a", "b", "c", "d"} {
		require.NoError(t, d.Put(ctx, ds.NewKey(k), []byte{'z' - k[0] + 'a'}))
	}
	q, err := d.Query(ctx, dsq.Query{
		KeysOnly: true, Orders: []dsq.Order{dsq.OrderByValue{}},
		Filters: []dsq.Filter{dsq.FilterValueCompare{Op: dsq.NotEqual, Value: []byte("y")}},
	})
	require.NoError(t, err)
	all, err := q.Rest()
	require.NoError(t, err)
	require.Equal(t, []dsq.Entry{{Key: "/d", Size: 1}, {Key: "/c", Size: 1}, {Key: "/a", Size: 1}}, all)
}

func TestDatastoreClosed(t *testing.T) {
	ctx := t.Context()
	d, err := OpenDatastore(t.TempDir(), Options{})
	require.NoError(t, err)
	require.NoError(t, d.Put(ctx, ds.NewKey("k"), nil))
	q, err := d.Query(ctx, dsq.Query{})
	require.NoError(t, err)
	x, err := d.NewTransaction(ctx, false)
	require.NoError(t, err)
	require.NoError(t, d.Close())
	require.NoError(t, d.Close())
	require.ErrorIs(t, d.Put(ctx, ds.NewKey("k"), nil), records.ErrClosed)
	_, err = d.Get(ctx, ds.NewKey("k"))
	require.ErrorIs(t, err, records.ErrClosed)
	r, ok := q.NextSync()
	require.True(t, ok)
	require.ErrorIs(t, r.Error, records.ErrClosed)
	_, err = x.Get(ctx, ds.NewKey("k"))
	require.ErrorIs(t, err, records.ErrClosed)
	require.ErrorIs(t, d.Check(ctx), records.ErrClosed)
	require.ErrorIs(t, d.CollectGarbage(ctx), records.ErrClosed)
}

func TestDatastoreReadOnly(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	d, err := OpenDatastore(dir, Options{})
	require.NoError(t, err)
	require.NoError(t, d.Close())
	d, err = OpenDatastore(dir, Options{Options: runs.Options{ReadOnly: true}})
	require.NoError(t, err)
	defer d.Close()
	require.Empty(t, contents(t, d, dsq.Query{}), "its buckets do not exist yet")
	require.NoError(t, d.Check(ctx))
	require.NoError(t, d.CollectGarbage(ctx))
	require.ErrorIs(t, d.Put(ctx, ds.NewKey("k"), nil), ErrReadOnly)
}

func TestDatastoreFull(t *testing.T) {
	ctx := t.Context()
	d, _ := openDatastore(t, t.TempDir(), Options{Options: runs.Options{MaxBytes: 2 * MinMaxBytes, NoSync: true}})
	n := 0
	var err error
	for ; n < 1000 && err == nil; n++ {
		err = d.Put(ctx, ds.NewKey(strconv.Itoa(n)), make([]byte, 20_000))
	}
	require.ErrorIs(t, err, ErrFull)
	require.Greater(t, n, 200)
	require.NoError(t, d.Put(ctx, ds.NewKey("1"), []byte("smaller")), "no new row")
	require.NoError(t, d.Delete(ctx, ds.NewKey("2")))
	require.NoError(t, d.Delete(ctx, ds.NewKey("3")))
	require.NoError(t, d.Put(ctx, ds.NewKey("new"), []byte("v")))
}
