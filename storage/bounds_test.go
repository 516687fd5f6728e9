package storage

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	ds "github.com/ipfs/go-datastore"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

func TestDefaults(t *testing.T) {
	require.Equal(t, []int64{20_000, 8 << 30, 16 << 20}, []int64{runs.DefaultMaxPending, DefaultMaxBytes, MinMaxBytes})
	o := Options{}.WithDefaults()
	require.Equal(t, []int64{runs.DefaultMaxPending, min(DefaultMaxBytes, disk.MostBytes), records.DefaultMaxProvidersPerKey, records.DefaultMaxValueSize}, []int64{
		int64(o.MaxPending), o.MaxBytes, int64(o.MaxProvidersPerKey), int64(o.MaxValueSize),
	})
	for over := range 2 {
		for name, o := range map[string]Options{
			"MaxBytes":     {Options: runs.Options{MaxBytes: MinMaxBytes - int64(over)}},
			"MaxValueSize": {MaxValueSize: maxValueRow + over},
			"Network":      {Network: strings.Repeat("n", maxNetworkLen+over)},
			"Program":      {Program: strings.Repeat("p", maxProgramLen+over)},
		} {
			if err := o.Validate(); over == 0 {
				require.NoError(t, err, name)
			} else {
				require.ErrorContains(t, err, name)
			}
		}
	}
}

// The largest value that can be configured is stored and read.
func TestMaxValueRow(t *testing.T) {
	db := openTest(t, t.TempDir(), Options{Options: runs.Options{NoSync: true}, MaxValueSize: maxValueRow})
	put := func(size int) error {
		return db.PutValue(start, records.Value{Key: []byte("k"), Value: make([]byte, size), Expires: start.Add(time.Hour)}, nil)
	}
	require.NoError(t, put(maxValueRow))
	v, err := db.Value(start, []byte("k"))
	require.NoError(t, err)
	require.Len(t, v.Value, maxValueRow)
	require.ErrorIs(t, put(maxValueRow+1), records.ErrTooLarge)
}

// The bounds on providers are passed to the provider store.
func TestProviderBounds(t *testing.T) {
	for quota, o := range map[records.Quota]Options{
		records.QuotaProviders:          {Options: runs.Options{MaxProviders: 2, NoSync: true}},
		records.QuotaRecordsPerProvider: {Options: runs.Options{MaxRecordsPerProvider: 2, NoSync: true}},
		records.QuotaProvidersPerKey:    {Options: runs.Options{MaxProvidersPerKey: 2, NoSync: true}},
	} {
		db := openTest(t, t.TempDir(), o)
		add := func(i int) error {
			key, id := fmt.Appendf(nil, "key %d", i), fmt.Sprint("peer ", i)
			switch quota {
			case records.QuotaProvidersPerKey:
				key = []byte("key")
			case records.QuotaRecordsPerProvider:
				id = "peer"
			}
			return db.AddProvider(start, key, providerOf(id, start.Add(time.Hour)), true)
		}
		require.NoError(t, add(0))
		require.NoError(t, add(1))
		require.ErrorIs(t, add(2), records.ErrQuota, quota)
		require.EqualValues(t, 1, db.Stats().Refused[quota], quota)
	}
}

// A report lists maxProblems problems and counts the rest.
func TestMaxProblems(t *testing.T) {
	var r Report
	for i := range maxProblems + 2 {
		r.problem("problem %d", i)
	}
	require.Len(t, r.Problems, maxProblems)
	require.Equal(t, 2, r.Omitted)
}

// A batch is retried up to maxImpossible times without a write that cannot be applied. With
// more such writes, the whole batch fails.
func TestMaxImpossible(t *testing.T) {
	for over := range 2 {
		db := openTest(t, t.TempDir(), Options{Options: runs.Options{NoSync: true}})
		var writes []write
		add := func(err error) {
			writes = append(writes, write{op: "test", apply: func(*txn) error { return err }, done: make(chan error, 1)})
		}
		for range maxImpossible + over {
			add(errors.New("impossible"))
		}
		add(nil)
		db.commit(writes)
		for _, w := range writes[:maxImpossible+over] {
			require.ErrorContains(t, <-w.done, "impossible")
		}
		require.Equal(t, over > 0, <-writes[maxImpossible+over].done != nil)
	}
}

// A commit takes maxBatch writes; the rest wait for the next one.
func TestMaxBatch(t *testing.T) {
	q := newQueue()
	for range maxBatch + 1 {
		require.NoError(t, q.put(write{}, ownLimit))
	}
	for _, want := range []int{maxBatch, 1, 0} {
		batch, _ := q.next()
		require.Len(t, batch, want)
	}
}

// The queue accepts exactly as many writes as its limit.
func TestMaxPending(t *testing.T) {
	q := newQueue()
	for range 5 {
		require.NoError(t, q.put(write{}, 5))
	}
	require.ErrorIs(t, q.put(write{}, 5), records.ErrBusy)
	require.NoError(t, q.put(write{}, ownLimit))
	require.Equal(t, 6, q.len())
}

// The newest keptSnapshots snapshots are kept.
func TestKeptSnapshots(t *testing.T) {
	dir := t.TempDir()
	db := openTest(t, dir, Options{Options: runs.Options{NoSync: true}})
	for i := range keptSnapshots + 2 {
		require.NoError(t, db.SaveSnapshot(records.Snapshot{Taken: start.Add(time.Duration(i) * time.Minute)}))
		kept := 0
		require.NoError(t, db.file.View(func(tx *bbolt.Tx) error {
			return tx.Bucket(bucketSnapshot).ForEachBucket(func([]byte) error { kept++; return nil })
		}))
		require.Equal(t, min(i+1, keptSnapshots), kept)
	}
}

// A transaction may read dsMaxReads keys, and any of them again.
func TestDatastoreMaxReads(t *testing.T) {
	ctx := t.Context()
	d, _ := openDatastore(t, t.TempDir(), Options{Options: runs.Options{NoSync: true}})
	x, err := d.NewTransaction(ctx, false)
	require.NoError(t, err)
	defer x.Discard(ctx)
	has := func(i int) error {
		_, err := x.Has(ctx, ds.RawKey(fmt.Sprint("/", i)))
		return err
	}
	for i := range dsMaxReads {
		require.NoError(t, has(i))
	}
	require.ErrorIs(t, has(dsMaxReads), records.ErrTooLarge)
	require.NoError(t, has(0))
}

// A batch accepts exactly MaxDatastoreBatch bytes.
func TestMaxDatastoreBatch(t *testing.T) {
	ctx := t.Context()
	d, _ := openDatastore(t, t.TempDir(), Options{Options: runs.Options{NoSync: true}})
	b, err := d.Batch(ctx)
	require.NoError(t, err)
	left := MaxDatastoreBatch
	for i := 0; left > MaxDatastoreValue; i++ {
		key := ds.RawKey(fmt.Sprintf("/%02d", i))
		require.NoError(t, b.Put(ctx, key, make([]byte, MaxDatastoreValue)))
		left -= dsOpCost + len(key.String()) + MaxDatastoreValue
	}
	left -= dsOpCost + len("/last")
	require.ErrorIs(t, b.Put(ctx, ds.RawKey("/last"), make([]byte, left+1)), records.ErrTooLarge)
	require.NoError(t, b.Put(ctx, ds.RawKey("/last"), make([]byte, left)))
}

// One call of Expire removes expireStep values and reports whether there are more.
func TestExpireStep(t *testing.T) {
	db := openTest(t, t.TempDir(), Options{Options: runs.Options{NoSync: true}})
	done := make(chan error, expireStep+1)
	for i := range expireStep + 1 {
		go func() { // concurrently, to share commits
			done <- db.PutValue(start, records.Value{Key: wideKey(i), Value: []byte("v"), Expires: start.Add(time.Hour)}, nil)
		}()
	}
	for range expireStep + 1 {
		require.NoError(t, <-done)
	}
	later := start.Add(time.Hour + records.ExpireGrace)
	for _, want := range []int64{expireStep, 1, 0} {
		out, err := db.Expire(later)
		require.NoError(t, err)
		require.Equal(t, want, out.Records[records.KindValue])
		require.Equal(t, want == expireStep, out.More)
	}
}

// Publish stores publishChunk keys per transaction, and Range reads rangeChunk keys per
// transaction.
func TestPublishedChunks(t *testing.T) {
	var o observer
	db := openTest(t, t.TempDir(), Options{Options: runs.Options{NoSync: true, Observer: &o}})
	for _, c := range []struct{ keys, commits int }{{publishChunk, 1}, {publishChunk + 1, 2}} {
		before := o.commits
		var all []records.Published
		for i := range c.keys {
			all = append(all, records.Published{Key: wideKey(i), Added: start})
		}
		require.NoError(t, db.Publish(all...))
		require.Equal(t, c.commits, o.commits-before, "%d keys", c.keys)
	}
	chunk, next, err := db.rangeStep(kad.Prefix{}, nil)
	require.NoError(t, err)
	require.Len(t, chunk, rangeChunk)
	require.NotEmpty(t, next)
}

// A query reads at most dsSlice rows per transaction, and at most dsSliceBytes of values not
// counting the last one.
func TestDatastoreSlice(t *testing.T) {
	ctx := t.Context()
	d, _ := openDatastore(t, t.TempDir(), Options{Options: runs.Options{NoSync: true}})
	for prefix, c := range map[string]struct{ size, rows int }{
		"/many":  {0, dsSlice},
		"/large": {dsSliceBytes / 4, 5}, // the fourth value does not exceed it
	} {
		b, err := d.Batch(ctx)
		require.NoError(t, err)
		for i := range c.rows + 1 {
			require.NoError(t, b.Put(ctx, ds.RawKey(fmt.Sprintf("%s/%06d", prefix, i)), make([]byte, c.size)))
		}
		require.NoError(t, b.Commit(ctx))
		p := dsPlan{prefix: []byte(prefix + "/"), values: true}
		require.NoError(t, d.db.view("test", func(tx *bbolt.Tx) error {
			x, err := openDatastoreTx(tx)
			require.NoError(t, err)
			rows, next, err := p.slice(&x, nil, p.prefix, dsSlice)
			require.Len(t, rows, c.rows, prefix)
			require.NotNil(t, next)
			return err
		}))
	}
}
