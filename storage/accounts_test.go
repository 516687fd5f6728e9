package storage

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/records/storetest"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

func TestValueQuotas(t *testing.T) {
	storetest.RunValueQuotas(t, func(t *testing.T, q records.ValueQuotas) (storetest.Stores, storetest.Reopen) {
		dir := t.TempDir()
		o := Options{Options: runs.Options{NoSync: true}, ValueQuotas: q}
		db := openTest(t, dir, o)
		return db, func() storetest.Stores {
			require.NoError(t, db.Close())
			requireSound(t, dir)
			db = openTest(t, dir, o)
			return db
		}
	})
}

// fillValues stores values of 10 KiB on an account until one is refused.
func fillValues(t *testing.T, db *DB, a records.Account) (stored int, err error) {
	t.Helper()
	big := make([]byte, 10<<10)
	for ; err == nil; stored++ {
		err = db.PutValue(start, records.Value{
			Key: fmt.Appendf(nil, "/ipns/%s %d", a.Peer, stored), Value: big, Expires: start.Add(48 * time.Hour), Account: a,
		}, nil)
	}
	return stored - 1, err
}

// By default, neither one peer nor one IP group can use up the capacity of all others.
func TestOnePeerCannotFillTheFile(t *testing.T) {
	db := openTest(t, t.TempDir(), Options{Options: runs.Options{NoSync: true, MaxBytes: 64 << 20}})
	n, err := fillValues(t, db, records.Account{Peer: "a", Group: "g"})
	var over *records.QuotaError
	require.ErrorAs(t, err, &over)
	require.Equal(t, records.QuotaValuesSizePerPeer, over.Quota)
	bound := DefaultValueQuotas(64 << 20).PerPeer.Bytes
	size := db.Stats().Bytes[records.KindValue]
	require.LessOrEqual(t, size, bound)
	require.Greater(t, size+size/int64(n), bound)
	for i := 0; over.Quota != records.QuotaValuesSizePerGroup; i++ {
		_, err := fillValues(t, db, records.Account{Peer: kad.PeerID(fmt.Sprint("b", i)), Group: "g"})
		require.ErrorAs(t, err, &over, "a quota refuses it, not a full file")
	}
	sizes, err := db.Sizes()
	require.NoError(t, err)
	require.Less(t, sizes.Used, stateBytes(db.opts.MaxBytes)/2)
	require.NoError(t, db.PutValue(start, records.Value{
		Key: []byte("/ipns/honest"), Value: []byte("x"), Expires: start.Add(time.Hour), Account: records.Account{Peer: "honest", Group: "h"},
	}, nil))
}

// quotaOfTwo returns a store in which a peer may have two values. It contains one value of
// peer a and one on no account.
func quotaOfTwo(t *testing.T) (dir string, o Options, db *DB, put func(db *DB, key string, a records.Account) error) {
	t.Helper()
	dir, o = t.TempDir(), Options{Options: runs.Options{NoSync: true}, ValueQuotas: records.ValueQuotas{PerPeer: records.Tally{Values: 2}}}
	put = func(db *DB, key string, a records.Account) error {
		return db.PutValue(start, records.Value{Key: []byte(key), Value: []byte("x"), Expires: start.Add(time.Hour), Account: a}, nil)
	}
	db, err := Open(dir, o)
	require.NoError(t, err)
	require.NoError(t, put(db, "one", records.Account{Peer: "a"}))
	require.NoError(t, put(db, "own", records.Account{}))
	return dir, o, db, put
}

// Values that an older version wrote in between are counted after the next start.
func TestAccountsAfterAnOlderVersion(t *testing.T) {
	dir, o, db, put := quotaOfTwo(t)
	require.NoError(t, put(db, "two", records.Account{Peer: "a"}))
	require.NoError(t, db.Close())
	// The older version stores a value again, and leaves its index entry empty.
	editFile(t, dir, func(tx *bbolt.Tx) error {
		old, err := decodeValue([]byte("two"), tx.Bucket(bucketValues).Get([]byte("two")))
		require.NoError(t, err)
		index := tx.Bucket(bucketValueExpiry)
		require.NoError(t, index.Delete(expiryKey(old.Expires, old.Key)))
		return index.Put(expiryKey(old.Expires, old.Key), nil)
	})
	requireSound(t, dir) // a read-only open must not need the accounts
	db = openTest(t, dir, o)
	require.NoError(t, put(db, "three", records.Account{Peer: "a"}), "two is on no account")
	require.Error(t, put(db, "four", records.Account{Peer: "a"}))
}

// In a file from before the accounts, values are on no account until they are stored again.
func TestAccountsOfAnOldFile(t *testing.T) {
	dir, o, db, put := quotaOfTwo(t)
	require.NoError(t, db.Close())
	editFile(t, dir, func(tx *bbolt.Tx) error {
		index := tx.Bucket(bucketValueExpiry)
		var entries [][]byte
		require.NoError(t, index.ForEach(func(k, _ []byte) error { entries = append(entries, clone(k)); return nil }))
		for _, k := range entries {
			require.NoError(t, index.Put(k, nil))
		}
		require.NoError(t, tx.DeleteBucket(bucketAccounts))
		return tx.Bucket(bucketMeta).Delete(keyAccounts)
	})
	requireSound(t, dir)
	before, err := os.ReadFile(filepath.Join(dir, FileName))
	require.NoError(t, err)
	db = openTest(t, dir, o)
	after, err := os.ReadFile(filepath.Join(dir, FileName))
	require.NoError(t, err)
	require.True(t, bytes.Equal(before, after), "opening must not write: the disk may be full")
	for _, key := range []string{"two", "three"} {
		require.NoError(t, put(db, key, records.Account{Peer: "a"}))
	}
	require.NoError(t, put(db, "one", records.Account{Peer: "a"}), "republishing over the quota")
	require.NoError(t, db.DeleteValue([]byte("two")))
	require.NoError(t, put(db, "one", records.Account{Peer: "a"}))
	require.Error(t, put(db, "two", records.Account{Peer: "a"}), "one is now on its account")
}

// A damaged account causes no error, and the next start rebuilds it.
func TestDamagedAccount(t *testing.T) {
	dir, o, db, put := quotaOfTwo(t)
	require.NoError(t, db.Close())
	editFile(t, dir, func(tx *bbolt.Tx) error {
		return errors.Join(tx.Bucket(bucketAccounts).Put([]byte("pa"), []byte("nonsense")), noteAccounts(tx, tx.Bucket(bucketMeta)))
	})
	db, err := Open(dir, o)
	require.NoError(t, err)
	require.NoError(t, put(db, "two", records.Account{Peer: "a"}))
	require.NoError(t, db.DeleteValue([]byte("one")))
	require.NoError(t, put(db, "one", records.Account{Peer: "a"}))
	require.NoError(t, db.Close())
	db = openTest(t, dir, o)
	require.Nil(t, db.Quarantined())
	require.Error(t, put(db, "three", records.Account{Peer: "a"}))
}

// Compact, backup and restore keep the accounts.
func TestAccountsOfCopies(t *testing.T) {
	dir, o, db, put := quotaOfTwo(t)
	var copied bytes.Buffer
	_, err := db.Backup(&copied)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	_, _, err = Compact(dir, nil)
	require.NoError(t, err)
	other := t.TempDir()
	_, err = Restore(other, &copied, nil)
	require.NoError(t, err)
	for _, dir := range []string{dir, other} {
		requireSound(t, dir)
		db := openTest(t, dir, o)
		require.NoError(t, put(db, "two", records.Account{Peer: "a"}))
		require.Error(t, put(db, "three", records.Account{Peer: "a"}))
	}
}

// A check finds accounts that disagree with the values.
func TestCheckFindsAccounts(t *testing.T) {
	for name, edit := range map[string]func(rows *bbolt.Bucket) error{
		"other": func(rows *bbolt.Bucket) error { return storeTally(rows, "pa", records.Tally{Values: 7}) },
		"gone":  func(rows *bbolt.Bucket) error { return rows.Delete([]byte("pa")) },
		"more":  func(rows *bbolt.Bucket) error { return storeTally(rows, "pz", records.Tally{Values: 1}) },
		"torn":  func(rows *bbolt.Bucket) error { return rows.Put([]byte("pa"), []byte("nonsense")) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, _, db, _ := quotaOfTwo(t)
			require.NoError(t, db.Close())
			editFile(t, dir, func(tx *bbolt.Tx) error {
				return errors.Join(edit(tx.Bucket(bucketAccounts)), noteAccounts(tx, tx.Bucket(bucketMeta)))
			})
			r, err := Check(dir, nil)
			require.NoError(t, err)
			require.NotEmpty(t, r.Problems)
		})
	}
}
