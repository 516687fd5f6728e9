package storage

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	ds "github.com/ipfs/go-datastore"
	dsq "github.com/ipfs/go-datastore/query"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

var keyA, keyB, keyC = ds.NewKey("/t/a"), ds.NewKey("/t/b"), ds.NewKey("/t/c")

func TestDatastoreTransaction(t *testing.T) {
	ctx := t.Context()
	d, c := openDatastore(t, t.TempDir(), Options{})
	require.NoError(t, d.Put(ctx, keyA, []byte("1")))
	require.NoError(t, d.PutWithTTL(ctx, keyB, []byte("1"), time.Minute))
	require.NoError(t, d.Put(ctx, ds.NewKey("/u"), nil))
	x, err := d.NewTransaction(ctx, false)
	require.NoError(t, err)
	require.NoError(t, x.Put(ctx, keyA, []byte("2")))
	require.NoError(t, x.Put(ctx, keyC, []byte("2")))
	require.NoError(t, x.Delete(ctx, keyB))
	require.Equal(t, map[string]string{"/t/a": "2", "/t/c": "2"}, contents(t, x, dsq.Query{Prefix: "/t"}))
	v, err := x.Get(ctx, keyA)
	require.NoError(t, err)
	require.Equal(t, "2", string(v))
	has, err := x.Has(ctx, keyB)
	require.NoError(t, err)
	require.False(t, has)
	size, err := x.GetSize(ctx, keyC)
	require.NoError(t, err)
	require.Equal(t, 1, size)
	require.Equal(t, map[string]string{"/t/a": "1", "/t/b": "1"}, contents(t, d, dsq.Query{Prefix: "/t"}), "visible before the commit")
	require.NoError(t, x.Commit(ctx))
	require.Equal(t, map[string]string{"/t/a": "2", "/t/c": "2"}, contents(t, d, dsq.Query{Prefix: "/t"}))
	x.Discard(ctx)
	require.ErrorIs(t, x.Commit(ctx), records.ErrClosed)
	require.ErrorIs(t, x.Put(ctx, keyA, nil), records.ErrClosed)
	_, err = x.Get(ctx, keyA)
	require.ErrorIs(t, err, records.ErrClosed)

	x, err = d.NewTransaction(ctx, false)
	require.NoError(t, err)
	require.NoError(t, x.Put(ctx, keyA, []byte("3")))
	x.Discard(ctx)
	require.ErrorIs(t, x.Commit(ctx), records.ErrClosed)
	v, err = d.Get(ctx, keyA)
	require.NoError(t, err)
	require.Equal(t, "2", string(v))

	require.NoError(t, d.PutWithTTL(ctx, keyB, nil, time.Minute))
	c.advance(time.Minute)
	x, err = d.NewTransaction(ctx, true)
	require.NoError(t, err)
	has, err = x.Has(ctx, keyB)
	require.NoError(t, err)
	require.False(t, has, "expired")
	require.Len(t, contents(t, x, dsq.Query{}), 3)
	require.ErrorIs(t, x.Put(ctx, keyA, nil), ErrReadOnly)
	require.ErrorIs(t, x.Delete(ctx, keyA), ErrReadOnly)
	require.NoError(t, x.Commit(ctx))
}

// TestDatastoreConflicts checks that everything a transaction has read must be unchanged when
// it reads again and when it commits.
func TestDatastoreConflicts(t *testing.T) {
	ctx := t.Context()
	read := func(k ds.Key) func(t *testing.T, x ds.Txn) {
		return func(t *testing.T, x ds.Txn) {
			_, err := x.Has(ctx, k)
			require.NoError(t, err)
		}
	}
	query := func(t *testing.T, x ds.Txn) { contents(t, x, dsq.Query{Prefix: "/t"}) }
	put := func(k ds.Key, v string) func(*testing.T, *Datastore) {
		return func(t *testing.T, d *Datastore) { require.NoError(t, d.Put(ctx, k, []byte(v))) }
	}
	del := func(k ds.Key) func(*testing.T, *Datastore) {
		return func(t *testing.T, d *Datastore) { require.NoError(t, d.Delete(ctx, k)) }
	}
	for name, c := range map[string]struct {
		before func(*testing.T, ds.Txn)
		other  func(*testing.T, *Datastore)
		fine   bool
	}{
		"changed":           {read(keyA), put(keyA, "2"), false},
		"put the same":      {read(keyA), put(keyA, "1"), false},
		"removed":           {read(keyA), del(keyA), false},
		"appeared":          {read(keyC), put(keyC, "2"), false},
		"something else":    {read(keyA), put(keyC, "2"), true},
		"absent removed":    {read(keyC), del(keyC), true},
		"nothing was read":  {func(*testing.T, ds.Txn) {}, put(keyA, "2"), true},
		"query, changed":    {query, put(keyA, "2"), false},
		"query, appeared":   {query, put(keyC, "2"), false},
		"query, put beside": {query, put(ds.NewKey("/u"), "2"), false}, // as documented
	} {
		t.Run(name, func(t *testing.T) {
			d, _ := openDatastore(t, t.TempDir(), Options{Options: runs.Options{NoSync: true}})
			require.NoError(t, d.Put(ctx, keyA, []byte("1")))
			for _, again := range []bool{false, true} {
				x, err := d.NewTransaction(ctx, again)
				require.NoError(t, err)
				c.before(t, x)
				c.other(t, d)
				if again {
					_, err = x.Get(ctx, keyB)
					if !c.fine {
						require.ErrorIs(t, err, ErrConflict)
						require.ErrorIs(t, x.Commit(ctx), ErrConflict)
						continue
					}
					require.Equal(t, ds.ErrNotFound, err)
					require.NoError(t, x.Commit(ctx))
					continue
				}
				require.NoError(t, x.Put(ctx, keyB, []byte("x")))
				err = x.Commit(ctx)
				has, e := d.Has(ctx, keyB)
				require.NoError(t, e)
				require.Equal(t, c.fine, has)
				if c.fine {
					require.NoError(t, err)
					require.NoError(t, d.Delete(ctx, keyB))
				} else {
					require.ErrorIs(t, err, ErrConflict)
				}
				require.NoError(t, d.Put(ctx, keyA, []byte("1")))
				require.NoError(t, d.Delete(ctx, keyC))
			}
		})
	}
}

// TestDatastoreSerializable moves amounts between accounts from many goroutines. No reader,
// transaction or query ever sees a different sum.
func TestDatastoreSerializable(t *testing.T) {
	ctx := t.Context()
	d, _ := openDatastore(t, t.TempDir(), Options{Options: runs.Options{NoSync: true}})
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	const accounts, each = 6, 1000
	key := func(i int) ds.Key { return ds.NewKey(fmt.Sprintf("/acc/%d", i)) }
	number := func(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
	for i := range accounts {
		require.NoError(t, d.Put(ctx, key(i), number(each)))
	}
	move := func(rng *rand.Rand) error {
		from, to := rng.IntN(accounts), rng.IntN(accounts)
		x, err := d.NewTransaction(ctx, false)
		if err != nil || from == to {
			return err
		}
		defer x.Discard(ctx)
		a, errA := x.Get(ctx, key(from))
		b, errB := x.Get(ctx, key(to))
		if err := errors.Join(errA, errB); err != nil {
			return err
		}
		n := min(binary.BigEndian.Uint64(a), rng.Uint64N(50))
		return errors.Join(
			x.Put(ctx, key(from), number(binary.BigEndian.Uint64(a)-n)),
			x.Put(ctx, key(to), number(binary.BigEndian.Uint64(b)+n)),
			x.Commit(ctx))
	}
	sum := func() (total uint64, err error) {
		x, err := d.NewTransaction(ctx, true)
		if err != nil {
			return 0, err
		}
		defer x.Discard(ctx)
		for i := range accounts {
			v, err := x.Get(ctx, key(i))
			if err != nil {
				return 0, err
			}
			total += binary.BigEndian.Uint64(v)
		}
		return total, nil
	}
	var moved, conflicts, sums sync.Map
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(g)))
			for i := range 300 {
				if err := move(rng); err == nil {
					moved.Store([2]int{g, i}, true)
				} else {
					require.ErrorIs(t, err, ErrConflict)
					conflicts.Store([2]int{g, i}, true)
				}
			}
		})
		wg.Go(func() {
			for i := range 300 {
				total, err := sum()
				if err == nil {
					require.EqualValues(t, accounts*each, total)
					sums.Store([2]int{g, i}, true)
				} else {
					require.ErrorIs(t, err, ErrConflict)
				}
				x, err := d.NewTransaction(ctx, true)
				require.NoError(t, err)
				total = 0
				for _, v := range contents(t, x, dsq.Query{Prefix: "/acc"}) {
					total += binary.BigEndian.Uint64([]byte(v))
				}
				require.EqualValues(t, accounts*each, total)
			}
		})
	}
	wg.Wait()
	count := func(m *sync.Map) (n int) {
		m.Range(func(any, any) bool { n++; return true })
		return n
	}
	t.Logf("%d moved, %d conflicts, %d sums", count(&moved), count(&conflicts), count(&sums))
	require.Positive(t, count(&moved))
}

// TestDatastoreBatchIsWhole checks that a batch is one transaction: every reading transaction
// sees all of it or nothing.
func TestDatastoreBatchIsWhole(t *testing.T) {
	ctx := t.Context()
	d, _ := openDatastore(t, t.TempDir(), Options{Options: runs.Options{NoSync: true}})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(stop)
		for i := range 300 {
			b, err := d.Batch(ctx)
			require.NoError(t, err)
			for j := range 40 {
				k := ds.NewKey(fmt.Sprintf("/b/%d", j))
				if (i+j)%5 == 0 {
					require.NoError(t, b.Put(ctx, k, []byte("overwritten in the batch")))
					require.NoError(t, b.Delete(ctx, k))
				} else {
					require.NoError(t, b.Put(ctx, k, fmt.Append(nil, i)))
				}
			}
			require.NoError(t, b.Commit(ctx))
			require.NoError(t, b.Commit(ctx), "empty now")
		}
	})
	looked := 0
	for ended := false; !ended; looked++ {
		select {
		case <-stop:
			ended = true
		default:
		}
		x, err := d.NewTransaction(ctx, true)
		require.NoError(t, err)
		all := contents(t, x, dsq.Query{Prefix: "/b"})
		if len(all) == 0 {
			continue
		}
		require.Len(t, all, 32)
		seen := map[string]bool{}
		for _, v := range all {
			seen[v] = true
		}
		require.Len(t, seen, 1, "half a batch")
	}
	wg.Wait()
	t.Logf("%d looks", looked)
}

// TestDatastoreConcurrency uses everything concurrently; run it with -race.
func TestDatastoreConcurrency(t *testing.T) {
	ctx := t.Context()
	d, c := openDatastore(t, t.TempDir(), Options{Options: runs.Options{NoSync: true}})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 0))
			for i := range 200 {
				k := ds.NewKey(fmt.Sprintf("/%d/%d", g%2, rng.IntN(30)))
				var err error
				switch rng.IntN(9) {
				case 0, 1:
					err = d.Put(ctx, k, fmt.Append(nil, i))
				case 2:
					err = d.PutWithTTL(ctx, k, fmt.Append(nil, i), time.Duration(rng.IntN(3600))*time.Second)
				case 3:
					err = d.Delete(ctx, k)
				case 4:
					if err = d.SetTTL(ctx, k, time.Minute); errors.Is(err, ds.ErrNotFound) {
						err = nil
					}
				case 5:
					_, err = d.Has(ctx, k)
				case 6:
					contents(t, d, dsq.Query{Prefix: "/1", KeysOnly: i%2 == 0})
				case 7:
					c.advance(time.Minute)
					err = errors.Join(d.CollectGarbage(ctx), d.Check(ctx))
				case 8:
					provide(t, d.db, start, k.String(), "p", time.Hour, i%2 == 0)
				}
				require.NoError(t, err)
			}
		})
	}
	wg.Wait()
}

// TestDatastoreModel compares random calls, including time and restarts, with a map.
func TestDatastoreModel(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	type row struct {
		value   string
		expires time.Time
	}
	model := map[string]row{}
	c := &clock{t: start}
	open := func() *Datastore {
		d, err := OpenDatastore(dir, Options{Options: runs.Options{NoSync: true}})
		require.NoError(t, err)
		d.now = c.now
		return d
	}
	d := open()
	live := func(k string) (row, bool) {
		r, ok := model[k]
		return r, ok && (r.expires.IsZero() || c.now().Before(r.expires))
	}
	for i := range 4000 {
		k := fmt.Sprintf("/%c/%d", "ab"[rng.IntN(2)], rng.IntN(40))
		v := fmt.Sprint(i)
		switch rng.IntN(10) {
		case 0, 1:
			require.NoError(t, d.Put(ctx, ds.NewKey(k), []byte(v)))
			model[k] = row{value: v}
		case 2, 3:
			ttl := time.Duration(rng.IntN(7200)) * time.Second
			require.NoError(t, d.PutWithTTL(ctx, ds.NewKey(k), []byte(v), ttl))
			model[k] = row{v, c.now().Add(ttl)}
		case 4:
			require.NoError(t, d.Delete(ctx, ds.NewKey(k)))
			delete(model, k)
		case 5:
			err := d.SetTTL(ctx, ds.NewKey(k), time.Hour)
			if r, ok := live(k); ok {
				require.NoError(t, err)
				model[k] = row{r.value, c.now().Add(time.Hour)}
			} else {
				require.Equal(t, ds.ErrNotFound, err)
			}
		case 6:
			c.advance(time.Duration(rng.IntN(600)) * time.Second)
		case 7:
			if i%5 == 0 {
				require.NoError(t, d.CollectGarbage(ctx))
			}
		case 8:
			if i%40 == 0 {
				require.NoError(t, d.Close())
				requireSound(t, dir)
				d = open()
			}
		case 9:
			got, err := d.Get(ctx, ds.NewKey(k))
			if r, ok := live(k); ok {
				require.NoError(t, err)
				require.Equal(t, r.value, string(got))
			} else {
				require.Equal(t, ds.ErrNotFound, err)
			}
		}
		if i%100 == 0 {
			want := map[string]string{}
			for k := range model {
				if r, ok := live(k); ok && k[:2] == "/b" {
					want[k] = r.value
				}
			}
			require.Equal(t, want, contents(t, d, dsq.Query{Prefix: "b"}))
		}
	}
	require.NoError(t, d.Check(ctx))
	require.NoError(t, d.Close())
	requireSound(t, dir)
}

// TestDatastoreContext checks that a cancelled context stops every call before it begins.
func TestDatastoreContext(t *testing.T) {
	d, _ := openDatastore(t, t.TempDir(), Options{Options: runs.Options{NoSync: true}})
	ctx, cancel := context.WithCancel(t.Context())
	x, err := d.NewTransaction(ctx, false)
	require.NoError(t, err)
	b, err := d.Batch(ctx)
	require.NoError(t, err)
	require.NoError(t, b.Put(ctx, keyA, nil))
	require.NoError(t, x.Put(ctx, keyA, nil))
	cancel()
	for _, err := range []error{
		d.Put(ctx, keyA, nil), d.Delete(ctx, keyA), d.Sync(ctx, keyA), d.SetTTL(ctx, keyA, 1), b.Commit(ctx), x.Commit(ctx), d.Check(ctx),
	} {
		require.ErrorIs(t, err, context.Canceled)
	}
	_, err = d.Has(ctx, keyA)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, contents(t, d, dsq.Query{}))
}
