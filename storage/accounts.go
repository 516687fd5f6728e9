package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// charge is the account and size for which a value is counted. It is stored as the value of
// the expiry index entry, and is empty if the value is not counted (the node's own value, or
// a value that an older version stored). It is removed together with that entry, so that a
// damaged value does not leave its count behind.
type charge struct {
	account records.Account
	bytes   int64
}

func (c charge) tally() records.Tally {
	if c.account.IsZero() {
		return records.Tally{}
	}
	return records.Tally{Values: 1, Bytes: c.bytes}
}

func (c charge) encode(entry []byte) []byte {
	a := c.account
	if a.IsZero() {
		return nil
	}
	row := disk.NewRow(8 + 2 + len(a.Peer) + len(a.Group))
	row = binary.BigEndian.AppendUint64(row, uint64(c.bytes))
	row = append(row, byte(len(a.Peer)))
	row = append(row, a.Peer...)
	row = append(row, byte(len(a.Group)))
	row = append(row, a.Group...)
	return disk.Seal(bucketValueExpiry, entry, row)
}

func decodeCharge(entry, row []byte) (c charge, err error) {
	if len(row) == 0 {
		return c, nil
	}
	payload, err := disk.Unseal(bucketValueExpiry, entry, row)
	if err != nil {
		return c, err
	}
	d := disk.Decoder{B: payload}
	c.bytes = int64(d.Uint(8))
	c.account.Peer = kad.PeerID(d.Bytes(d.Byte()))
	c.account.Group = string(d.Bytes(d.Byte()))
	return c, d.End(bucketValueExpiry)
}

// accountKey returns the key of a part of an account (see records.Account.Parts) in the
// accounts bucket.
func accountKey(part records.Account) string {
	switch {
	case part.Peer != "":
		return "p" + string(part.Peer)
	case part.Group != "":
		return "g" + part.Group
	}
	return "a"
}

// accounts are the tallies that a transaction has read, by account, with their new values.
type accounts map[string]*account

type account struct{ now, stored records.Tally }

// account returns the tally of a part of an account. A damaged tally counts from zero until
// the next start rebuilds it: damage here is no reason to refuse a record.
func (x *txn) account(part records.Account) *account {
	key := accountKey(part)
	if a := x.accounts[key]; a != nil {
		return a
	}
	var a account
	if rows := x.tx.Bucket(bucketAccounts); rows != nil {
		var err error
		if a.stored, err = decodeTally(key, rows.Get([]byte(key))); err != nil {
			a.stored, x.damage = records.Tally{}, err
		}
	}
	a.now = a.stored
	if x.accounts == nil {
		x.accounts = make(accounts)
	}
	x.accounts[key] = &a
	return &a
}

// held returns the tally of a part of an account.
func (x *txn) held(part records.Account) records.Tally { return x.account(part).now }

// count adds a charge n times to the tallies of its account.
func (x *txn) count(c charge, n int64) {
	t := c.tally()
	for _, part := range c.account.Parts() {
		a := x.account(part)
		a.now = a.now.Add(records.Tally{Values: n * t.Values, Bytes: n * t.Bytes})
	}
}

// storeAccounts writes the tallies that have changed.
func (x *txn) storeAccounts() error {
	var rows *bbolt.Bucket
	for key, a := range x.accounts {
		if a.now == a.stored {
			continue
		}
		if rows == nil {
			var err error
			if rows, err = x.tx.CreateBucketIfNotExists(bucketAccounts); err != nil {
				return err
			}
		}
		if err := storeTally(rows, key, a.now); err != nil {
			return err
		}
	}
	return nil
}

func storeTally(rows *bbolt.Bucket, key string, t records.Tally) error {
	if t == (records.Tally{}) {
		return rows.Delete([]byte(key))
	}
	row := disk.NewRow(2 * 8)
	row = binary.BigEndian.AppendUint64(row, uint64(t.Values))
	row = binary.BigEndian.AppendUint64(row, uint64(t.Bytes))
	return rows.Put([]byte(key), disk.Seal(bucketAccounts, []byte(key), row))
}

func decodeTally(key string, row []byte) (t records.Tally, err error) {
	if row == nil {
		return t, nil
	}
	payload, err := disk.Unseal(bucketAccounts, []byte(key), row)
	if err != nil {
		return t, err
	}
	d := disk.Decoder{B: payload}
	t = records.Tally{Values: int64(d.Uint(8)), Bytes: int64(d.Uint(8))}
	return t, d.End(bucketAccounts)
}

// recount adds up the charges of all values and counts the values in m.
func recount(tx *bbolt.Tx, m *disk.Meter) (map[string]records.Tally, error) {
	index, err := disk.BucketOf(tx, bucketValueExpiry)
	if err != nil {
		return nil, err
	}
	found := make(map[string]records.Tally)
	return found, index.ForEach(func(k, row []byte) error {
		m.Add(1)
		c, err := decodeCharge(k, row)
		if err != nil {
			return fmt.Errorf("account of value %q: %w", k[min(8, len(k)):], err)
		}
		for _, part := range c.account.Parts() {
			key := accountKey(part)
			found[key] = found[key].Add(c.tally())
		}
		return nil
	})
}

// Versions before the accounts do not maintain them, and copies that bbolt makes restart its
// transaction numbers. So each commit stores its own transaction number beside the counters.
// If the number of the last commit differs, the accounts are rebuilt from the values.

// accountsNoted reports whether the last commit to the file maintained the accounts. tx is a
// read transaction.
func accountsNoted(tx *bbolt.Tx) bool {
	meta := tx.Bucket(bucketMeta)
	noted := meta.Get(keyAccounts)
	return len(noted) == 8 && binary.BigEndian.Uint64(noted) == uint64(tx.ID())
}

func noteAccounts(tx *bbolt.Tx, meta *bbolt.Bucket) error {
	return meta.Put(keyAccounts, binary.BigEndian.AppendUint64(nil, uint64(tx.ID())))
}

// makeAccounts rebuilds the accounts if the last commit did not maintain them, or if force is
// set. It writes them only if they were wrong, because a start must not need free space.
func (db *DB) makeAccounts(force bool) error {
	right := true
	var found map[string]records.Tally
	err := db.file.View(func(tx *bbolt.Tx) (err error) {
		if accountsNoted(tx) && !force {
			return nil
		}
		if db.opts.ReadOnly {
			db.accountsStale = true
			return nil
		}
		if found, err = recount(tx, disk.NewMeter(nil, Progress{})); err != nil {
			return err
		}
		return compareAccounts(tx, found, func(string, ...any) { right = false })
	})
	if err == nil && !right {
		err = db.file.Update(func(tx *bbolt.Tx) error { return db.writeAccounts(tx, found) })
	}
	if err != nil {
		return fmt.Errorf("count the values by account: %w", err)
	}
	return nil
}

func (db *DB) writeAccounts(tx *bbolt.Tx, found map[string]records.Tally) error {
	if err := tx.DeleteBucket(bucketAccounts); err != nil && !errors.Is(err, berrors.ErrBucketNotFound) {
		return err
	}
	rows, err := tx.CreateBucket(bucketAccounts)
	if err != nil {
		return err
	}
	for key, t := range found {
		if err := storeTally(rows, key, t); err != nil {
			return err
		}
	}
	return db.counters.Load().store(tx)
}

// checkAccounts compares the stored tallies with the values.
func (db *DB) checkAccounts(tx *bbolt.Tx, _ *counters, m *disk.Meter, problem func(string, ...any)) error {
	if db.accountsStale {
		return nil // the next start rebuilds them
	}
	found, err := recount(tx, m)
	if err != nil {
		problem("%v", err)
		return nil
	}
	return compareAccounts(tx, found, problem)
}

// compareAccounts compares the stored tallies with found.
func compareAccounts(tx *bbolt.Tx, found map[string]records.Tally, problem func(string, ...any)) (err error) {
	missing := maps.Clone(found)
	if rows := tx.Bucket(bucketAccounts); rows != nil {
		err = rows.ForEach(func(k, row []byte) error {
			t, err := decodeTally(string(k), row)
			if err != nil {
				problem("account %q: %v", k, err)
			} else if t != found[string(k)] {
				problem("account %q has %+v, its values %+v", k, t, found[string(k)])
			}
			delete(missing, string(k))
			return nil
		})
	}
	for key, t := range missing {
		problem("account %q is missing, its values are %+v", key, t)
	}
	return err
}
