package storage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// pagesOf returns how many pages the transactions of fn wrote and visited.
func pagesOf(t *testing.T, db *DB, fn func()) (written, visited int64) {
	t.Helper()
	before := db.file.Bolt.Stats()
	fn()
	after := db.file.Bolt.Stats()
	d := after.Sub(&before)
	return d.TxStats.GetPageCount(), d.TxStats.GetNodeCount()
}

// TestExpireIsProportional counts pages instead of time: the cost of expiring values depends
// only on the number of due values, not on the live ones. Package runs tests that provider
// records cost next to nothing.
func TestExpireIsProportional(t *testing.T) {
	expire := func(live int) int64 {
		db := openTest(t, t.TempDir(), Options{Options: runs.Options{NoSync: true}})
		put := func(i int, expires time.Time) {
			v := records.Value{Key: wideKey(i), Value: make([]byte, 100), Expires: expires}
			require.NoError(t, db.PutValue(start, v, nil))
		}
		for i := range live {
			put(i, start.Add(40*time.Hour))
		}
		for i := range 100 {
			put(-i-1, start.Add(time.Minute))
		}
		written, _ := pagesOf(t, db, func() {
			out, err := db.Expire(start.Add(4 * time.Hour))
			require.NoError(t, err)
			require.EqualValues(t, 100, out.Records[records.KindValue])
		})
		return written
	}
	few, many := expire(100), expire(5000)
	t.Logf("pages written: %d beside 100 values, %d beside 5,000", few, many)
	require.LessOrEqual(t, many, few+30, "expiry touches live values")
	require.LessOrEqual(t, few, int64(120))
}

func TestBackupWhileWriting(t *testing.T) {
	db := openTest(t, t.TempDir(), Options{})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for g := range 2 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				// A backup contains both or neither: they are one transaction.
				a := records.Published{Key: fmt.Appendf(nil, "a%d", g), Added: start.Add(time.Duration(i))}
				b := records.Published{Key: fmt.Appendf(nil, "b%d", g), Added: start.Add(time.Duration(i))}
				require.NoError(t, db.Publish(a, b))
				provide(t, db, start, string(wideKey(i)), "p", time.Hour, false)
			}
		})
	}
	for range 5 {
		acked := records.Published{Key: []byte("acked"), Added: start}
		require.NoError(t, db.Publish(acked))
		var buf bytes.Buffer
		n, err := db.Backup(&buf)
		require.NoError(t, err)
		require.EqualValues(t, buf.Len(), n)
		dir := t.TempDir()
		old, err := Restore(dir, &buf, nil)
		require.NoError(t, err)
		require.Empty(t, old)
		requireSound(t, dir)
		copied := openTest(t, dir, Options{})
		_, err = copied.Load(0, acked.Key)
		require.NoError(t, err, "a write acknowledged before the backup is in it")
		for g := range 2 {
			a, errA := copied.Load(0, fmt.Appendf(nil, "a%d", g))
			b, errB := copied.Load(0, fmt.Appendf(nil, "b%d", g))
			require.Equal(t, errA, errB)
			require.True(t, a.Added.Equal(b.Added))
		}
	}
	close(stop)
	wg.Wait()
	_, err := db.Backup(brokenWriter{})
	require.ErrorIs(t, err, io.ErrShortWrite)
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestRestore(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	db := openTest(t, from, Options{Network: "a"})
	provide(t, db, start, "k", "p", time.Hour, true)
	var buf bytes.Buffer
	_, err := db.Backup(&buf)
	require.NoError(t, err)

	old, err := Open(to, Options{})
	require.NoError(t, err)
	provide(t, old, start, "old", "p", time.Hour, true)
	_, err = Restore(to, bytes.NewReader(buf.Bytes()), nil)
	require.ErrorIs(t, err, ErrLocked, "restored while a node is running")
	require.NoError(t, old.Close())

	for _, bad := range [][]byte{nil, []byte("no database"), buf.Bytes()[:buf.Len()/2]} {
		_, err = Restore(to, bytes.NewReader(bad), nil)
		require.ErrorIs(t, err, ErrCorrupt)
	}
	_, err = Restore(to, io.MultiReader(bytes.NewReader(buf.Bytes()), errReader{}), nil)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	left, err := filepath.Glob(filepath.Join(to, "*"))
	require.NoError(t, err)
	require.Len(t, left, 1+len(dbFiles), "a failed restore leaves something: %v", left)

	name, err := Restore(to, bytes.NewReader(buf.Bytes()), nil)
	require.NoError(t, err)
	require.FileExists(t, name)
	db = openTest(t, to, Options{Network: "a"})
	ps, err := db.Providers(nil, start, []byte("k"), 1)
	require.NoError(t, err)
	require.Len(t, ps, 1)
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestCompact(t *testing.T) {
	dir := t.TempDir()
	db, err := Open(dir, Options{Options: runs.Options{NoSync: true, MaxPending: 1 << 30}})
	require.NoError(t, err)
	for i := range 50_000 {
		provide(t, db, start, string(wideKey(i)), "p", time.Duration(i%2*30+1)*time.Hour, false)
	}
	require.NoError(t, db.Publish(records.Published{Key: []byte("own")}))
	for more := true; more; {
		out, err := db.Expire(start.Add(10 * time.Hour))
		require.NoError(t, err)
		more = out.More
	}
	before := db.Stats()
	require.NoError(t, db.Close())
	from, to, err := Compact(dir, nil)
	require.NoError(t, err)
	require.Less(t, to, from/2)
	requireSound(t, dir)
	db = openTest(t, dir, Options{})
	require.True(t, db.CleanStart())
	require.Equal(t, before.Records, db.Stats().Records)
	s, err := db.Sizes()
	require.NoError(t, err)
	require.Equal(t, to, s.File)
	for i := 1; i < 50_000; i += 997 {
		ps, err := db.Providers(nil, start, wideKey(i/2*2+1), 1)
		require.NoError(t, err)
		require.Len(t, ps, 1)
	}
	provide(t, db, start, "after", "new provider", time.Hour, true) // numbering continues
}

// If another program has a file open, Compact returns an error that names the file.
func TestCompactLocked(t *testing.T) {
	dir := t.TempDir()
	db, err := Open(dir, Options{})
	require.NoError(t, err)
	require.NoError(t, db.Close())
	path := filepath.Join(dir, FileName)
	other, err := bbolt.Open(path, 0o600, nil)
	require.NoError(t, err)
	_, _, err = Compact(dir, nil)
	var locked *LockedError
	require.ErrorAs(t, err, &locked)
	require.Equal(t, path, locked.Path)
	require.NoError(t, other.Close())
	requireSound(t, dir)
}

// TestCheckFindsDisagreement changes rows without their counters and indexes.
func TestCheckFindsDisagreement(t *testing.T) {
	put := func(bucket, key, value []byte) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Put(key, value) }
	}
	delFirst := func(bucket []byte) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error {
			k, _ := tx.Bucket(bucket).Cursor().First()
			return tx.Bucket(bucket).Delete(k)
		}
	}
	for name, edit := range map[string]func(*bbolt.Tx) error{
		"value without index": delFirst(bucketValueExpiry),
		"index without value": put(bucketValueExpiry, expiryKey(start, []byte("none")), nil),
		"value gone":          delFirst(bucketValues),
		"damaged value":       put(bucketValues, wideKey(3), []byte{1, 2, 3, 4, 5, 6}),
		"published gone":      delFirst(bucketKeystore),
		"published misfiled":  put(bucketKeystore, make([]byte, publishedKeyLen), encodePublished(make([]byte, publishedKeyLen), &records.Published{Key: []byte("x")})),
		"published malformed": put(bucketKeystore, []byte("x"), []byte("y")),
		"snapshots too many": func(tx *bbolt.Tx) error {
			_, err := tx.Bucket(bucketSnapshot).CreateBucket([]byte("99999999"))
			return err
		},
		"counters": func(tx *bbolt.Tx) error { return (&counters{}).store(tx) },
	} {
		t.Run(name, func(t *testing.T) {
			db, dir := openDamaged(t, fill(t), Options{})
			require.NoError(t, db.Close())
			requireSound(t, dir)
			editFile(t, dir, edit)
			r, err := Check(dir, nil)
			require.NoError(t, err)
			require.NotEmpty(t, r.Problems)
			_, err = Repair(dir, Options{Options: runs.Options{NoSync: true}})
			require.NoError(t, err)
			requireSound(t, dir)
		})
	}
}

func TestRepairWithoutFile(t *testing.T) {
	_, err := Repair(t.TempDir(), Options{})
	require.True(t, errors.Is(err, os.ErrNotExist))
}
