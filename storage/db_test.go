package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

func TestOptionsValidate(t *testing.T) {
	require.NoError(t, (&Options{}).Validate())
	bad := Options{
		Options:      runs.Options{CommitWindow: time.Hour, MaxPending: -1, MaxBytes: 1, MaxProvidersPerKey: -1},
		MaxValueSize: 2 << 20, Network: strings.Repeat("n", 2000),
	}
	err := bad.Validate()
	for _, field := range []string{"CommitWindow", "MaxPending", "MaxBytes", "MaxProvidersPerKey", "MaxValueSize", "Network"} {
		require.ErrorContains(t, err, field, "not all violations at once")
	}
	require.Equal(t, 1, strings.Count(err.Error(), "MaxBytes"), "reported once, although both packages check it")
	_, err = Open(t.TempDir(), bad)
	require.Error(t, err)
}

func TestCloseIsIdempotent(t *testing.T) {
	db, err := Open(t.TempDir(), Options{})
	require.NoError(t, err)
	provide(t, db, start, "k", "p", time.Hour, false)
	require.NoError(t, db.Close())
	require.NoError(t, db.Close())

	_, err = db.Value(start, []byte("k"))
	require.ErrorIs(t, err, records.ErrClosed)
	_, err = db.Providers(nil, start, []byte("k"), 1)
	require.ErrorIs(t, err, records.ErrClosed)
	_, err = db.Load(0, []byte("k"))
	require.ErrorIs(t, err, records.ErrClosed)
	require.ErrorIs(t, db.Range(kad.Prefix{}, nil), records.ErrClosed)
	_, err = db.LoadSnapshot()
	require.ErrorIs(t, err, records.ErrClosed)
	_, err = db.Expire(start)
	require.ErrorIs(t, err, records.ErrClosed)
	require.ErrorIs(t, db.SaveSnapshot(records.Snapshot{}), records.ErrClosed)
	require.ErrorIs(t, db.AddProvider(start, []byte("k"), providerOf("p", start.Add(1e10)), false), records.ErrClosed)
	_, err = db.Sizes()
	require.ErrorIs(t, err, records.ErrClosed)
	_, err = db.Backup(&bytes.Buffer{})
	require.Error(t, err)
	_, err = db.Check()
	require.Error(t, err)
	require.EqualValues(t, 1, db.Stats().Records[records.KindProvider])
}

func TestCloseWhileWriting(t *testing.T) {
	dir := t.TempDir()
	db, err := Open(dir, Options{})
	require.NoError(t, err)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var acked []int
	for g := range 8 {
		wg.Go(func() {
			for i := g; ; i += 8 {
				if err := db.AddProvider(start, wideKey(i), providerOf("p", start.Add(time.Hour)), true); err != nil {
					require.ErrorIs(t, err, records.ErrClosed)
					return
				}
				mu.Lock()
				acked = append(acked, i)
				mu.Unlock()
			}
		})
	}
	for {
		mu.Lock()
		n := len(acked)
		mu.Unlock()
		if n > 200 {
			break
		}
	}
	require.NoError(t, db.Close())
	wg.Wait()
	db = openTest(t, dir, Options{})
	require.True(t, db.CleanStart())
	for _, i := range acked {
		ps, err := db.Providers(nil, start, wideKey(i), 1)
		require.NoError(t, err)
		require.Len(t, ps, 1)
	}
}

func TestCleanStart(t *testing.T) {
	dir := t.TempDir()
	db, err := Open(dir, Options{})
	require.NoError(t, err)
	require.True(t, db.CleanStart(), "a new file")
	provide(t, db, start, "k", "p", time.Hour, true)
	copied := filepath.Join(t.TempDir(), FileName)
	for _, name := range dbFiles { // the state that a crash now would leave
		b, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(copied), name), b, 0o600))
	}
	require.NoError(t, db.Close())

	db = openTest(t, dir, Options{})
	require.True(t, db.CleanStart())
	db = openTest(t, filepath.Dir(copied), Options{})
	require.False(t, db.CleanStart())
	require.EqualValues(t, 1, db.Stats().Records[records.KindProvider])
}

func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	_, err := Open(dir, Options{Options: runs.Options{ReadOnly: true}})
	require.ErrorIs(t, err, os.ErrNotExist)
	db, err := Open(dir, Options{})
	require.NoError(t, err)
	provide(t, db, start, "k", "p", time.Hour, true)
	require.NoError(t, db.Close())

	before, err := os.ReadFile(db.Path())
	require.NoError(t, err)
	one := openTest(t, dir, Options{Options: runs.Options{ReadOnly: true}})
	two := openTest(t, dir, Options{Options: runs.Options{ReadOnly: true}})
	for _, db := range []*DB{one, two} {
		ps, err := db.Providers(nil, start, []byte("k"), 10)
		require.NoError(t, err)
		require.Len(t, ps, 1)
		require.EqualValues(t, 1, db.Stats().Records[records.KindProvider])
		require.ErrorIs(t, db.SaveSnapshot(records.Snapshot{}), ErrReadOnly)
		require.ErrorIs(t, db.AddProvider(start, []byte("k"), providerOf("p", start.Add(time.Hour)), false), ErrReadOnly)
		_, err = db.Expire(start)
		require.ErrorIs(t, err, ErrReadOnly)
		r, err := db.Check()
		require.NoError(t, err)
		require.True(t, r.OK(), r.Problems)
	}
	_, err = Open(dir, Options{Options: runs.Options{LockTimeout: -1}})
	require.ErrorIs(t, err, ErrLocked, "a writer next to readers")
	require.NoError(t, one.Close())
	require.NoError(t, two.Close())
	after, err := os.ReadFile(db.Path())
	require.NoError(t, err)
	require.True(t, bytes.Equal(before, after))
}

// editMeta changes the metadata of a closed store.
func editFile(t *testing.T, dir string, fn func(tx *bbolt.Tx) error) {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o700))
	b, err := bbolt.Open(filepath.Join(dir, FileName), 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, b.Update(fn))
	require.NoError(t, b.Close())
}

func TestSchemaAndForeign(t *testing.T) {
	dir := t.TempDir()
	db, err := Open(dir, Options{Network: "/ipfs/kad/1.0.0"})
	require.NoError(t, err)
	require.NoError(t, db.Close())

	_, err = Open(dir, Options{Network: "/other/kad/1.0.0"})
	require.ErrorIs(t, err, ErrForeign)
	require.ErrorIs(t, err, ErrNetwork)
	require.ErrorContains(t, err, "/ipfs/kad/1.0.0")
	db, err = Open(dir, Options{})
	require.NoError(t, err, "an unnamed network opens any")
	require.NoError(t, db.Close())

	editFile(t, dir, func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketMeta).Put(keySchema, binary.BigEndian.AppendUint32(nil, schemaVersion+1))
	})
	_, err = Open(dir, Options{})
	require.ErrorIs(t, err, ErrSchema)
	require.ErrorContains(t, err, "schema 3")

	foreign := t.TempDir()
	editFile(t, foreign, func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("their data")); return err })
	_, err = Open(foreign, Options{})
	require.ErrorIs(t, err, ErrForeign)
	require.NotErrorIs(t, err, ErrNetwork)
	_, err = Check(foreign, nil)
	require.ErrorIs(t, err, ErrForeign)
	left, err := os.ReadDir(foreign)
	require.NoError(t, err)
	require.Len(t, left, 2, "a foreign file stays where it is: %v", left)

	fresh := t.TempDir() // created by a process that died before its first commit
	editFile(t, fresh, func(*bbolt.Tx) error { return nil })
	openTest(t, fresh, Options{})
}

func TestBboltToolHoldsFile(t *testing.T) {
	dir := t.TempDir()
	db, err := Open(dir, Options{})
	require.NoError(t, err)
	require.NoError(t, db.Close())
	b, err := bbolt.Open(db.Path(), 0o600, nil)
	require.NoError(t, err)
	_, err = Open(dir, Options{Options: runs.Options{LockTimeout: -1}})
	require.ErrorIs(t, err, ErrLocked)
	require.NoError(t, b.Close())
	openTest(t, dir, Options{})
}

func TestFullQueueKeepsRefreshes(t *testing.T) {
	db := openTest(t, t.TempDir(), Options{Options: runs.Options{MaxPending: 40, CommitWindow: time.Minute}})
	exp := start.Add(time.Hour)
	add := func(i int) error { return db.AddProvider(start, wideKey(i), providerOf("p", exp), false) }
	require.NoError(t, add(1_000_000))
	require.NoError(t, db.Flush())

	for i := range 30 {
		require.NoError(t, add(i))
	}
	require.EqualValues(t, 30, db.Stats().PendingWrites)
	require.ErrorIs(t, add(30), records.ErrBusy, "the last quarter is for republished records")
	for range 10 {
		require.NoError(t, add(1_000_000))
	}
	require.ErrorIs(t, add(1_000_000), records.ErrBusy)
	require.EqualValues(t, 2, db.Stats().RefusedWrites)
	ps, err := db.Providers(nil, start, wideKey(0), 1)
	require.NoError(t, err)
	require.Empty(t, ps, "visible before it was durable")

	// A writer that waits is accepted, and its commit includes the others.
	require.NoError(t, db.AddProvider(start, wideKey(31), providerOf("p", exp), true))
	require.Zero(t, db.Stats().PendingWrites)
	for i := range 30 {
		ps, err := db.Providers(nil, start, wideKey(i), 1)
		require.NoError(t, err)
		require.Len(t, ps, 1)
	}
}

// observer counts the events it receives.
type observer struct {
	mu      sync.Mutex
	commits int
	writes  int
	errs    []string
}

func (o *observer) Committed(writes int, _ time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.commits++
	o.writes += writes
}

func (o *observer) StorageError(op string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.errs = append(o.errs, fmt.Sprint(op, ": ", err))
}

func (o *observer) errors() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.errs
}

func TestGroupCommit(t *testing.T) {
	var o observer
	db := openTest(t, t.TempDir(), Options{Options: runs.Options{Observer: &o, CommitWindow: time.Minute}})
	for i := range 3 * maxBatch {
		provide(t, db, start, string(wideKey(i)), "p", time.Hour, false)
	}
	require.NoError(t, db.Flush())
	require.NoError(t, db.Close())
	require.Equal(t, 3*maxBatch+2, o.writes) // Flush is a write to each file
	require.LessOrEqual(t, o.commits, 5, "one commit per batch")
	require.Empty(t, o.errs)
}

func TestCommitWindow(t *testing.T) {
	db := openTest(t, t.TempDir(), Options{Options: runs.Options{CommitWindow: time.Millisecond}})
	provide(t, db, start, "k", "p", time.Hour, false)
	require.Eventually(t, func() bool {
		ps, err := db.Providers(nil, start, []byte("k"), 1)
		return err == nil && len(ps) == 1
	}, time.Minute, time.Millisecond)
}

func TestPanickingValidator(t *testing.T) {
	db := openTest(t, t.TempDir(), Options{})
	put := func(v string, better records.Better) error {
		return db.PutValue(start, records.Value{Key: []byte("k"), Value: []byte(v), Expires: start.Add(time.Hour)}, better)
	}
	require.NoError(t, put("1", nil))
	require.ErrorIs(t, put("2", func(_, _, _ []byte) bool { panic("bad value") }), records.ErrInvalid)
	v, err := db.Value(start, []byte("k"))
	require.NoError(t, err)
	require.Equal(t, "1", string(v.Value))
}

// TestImpossibleWrite puts writes that cannot be applied between valid ones.
func TestImpossibleWrite(t *testing.T) {
	for _, fail := range []func(*txn) error{
		func(*txn) error { return errors.New("impossible") },
		func(*txn) error { panic("impossible") },
	} {
		var o observer
		dir := t.TempDir()
		db, err := Open(dir, Options{Options: runs.Options{Observer: &o, CommitWindow: time.Minute}})
		require.NoError(t, err)
		var done []chan error
		for i := range 20 {
			provide(t, db, start, string(wideKey(i)), "p", time.Hour, false)
			if i%4 == 0 {
				ch := make(chan error, 1)
				done = append(done, ch)
				db.queue.mu.Lock() // without waking the committer
				db.queue.pending = append(db.queue.pending, write{op: "bad", apply: fail, done: ch})
				db.queue.mu.Unlock()
			}
		}
		require.NoError(t, db.Flush())
		for _, ch := range done {
			require.ErrorContains(t, <-ch, "impossible")
		}
		require.Len(t, o.errors(), len(done))
		require.EqualValues(t, 20, db.Stats().Records[records.KindProvider])
		require.NoError(t, db.Close())
		requireSound(t, dir)
	}
}

func TestMaxBytes(t *testing.T) {
	db := openTest(t, t.TempDir(), Options{Options: runs.Options{MaxBytes: 2 * MinMaxBytes, NoSync: true}})
	put := func(i int) error {
		v := records.Value{Key: wideKey(i), Value: make([]byte, 8000), Expires: start.Add(time.Duration(i+1) * time.Minute)}
		return db.PutValue(start, v, nil)
	}
	n := 0
	for ; n < 10_000; n++ {
		if err := put(n); err != nil {
			require.ErrorIs(t, err, ErrFull)
			break
		}
	}
	require.Greater(t, n, 900)
	require.Positive(t, db.Stats().RefusedWrites)
	exp := start.Add(40 * time.Hour)
	require.NoError(t, db.AddProvider(start, []byte("new"), providerOf("p", exp), true), "values do not use the capacity of providers")
	require.NoError(t, put(n/2), "a republished value is not new")
	require.NoError(t, db.Publish(records.Published{Key: []byte("own")}), "the node's own keys still fit")
	require.NoError(t, db.SaveSnapshot(records.Snapshot{Taken: start}))
	_, err := db.Value(start, wideKey(1))
	require.NoError(t, err)
	info, err := os.Stat(db.Path())
	require.NoError(t, err)
	require.LessOrEqual(t, info.Size(), int64(MinMaxBytes))

	for more := true; more; { // expiry frees space
		out, err := db.Expire(start.Add(20 * time.Hour))
		require.NoError(t, err)
		more = out.More
	}
	require.NoError(t, put(n+1000))
	s, err := db.Sizes()
	require.NoError(t, err)
	require.LessOrEqual(t, s.Used+s.Free, s.File)
	require.Positive(t, s.Free)
}
