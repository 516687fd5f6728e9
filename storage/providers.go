package storage

import (
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// Providers implements records.Store.
func (db *DB) Providers(dst []records.Provider, now time.Time, key []byte, n int) ([]records.Provider, error) {
	return db.providers.Providers(dst, now, key, n)
}

// AddProvider implements records.Store.
func (db *DB) AddProvider(now time.Time, key []byte, p records.Provider, durable bool) error {
	return db.providers.AddProvider(now, key, p, durable)
}

// AddProviders is AddProvider for many records (see runs.Store.AddProviders).
func (db *DB) AddProviders(now time.Time, recs []runs.ProviderRecord, durable bool) (refused int, err error) {
	return db.providers.AddProviders(now, recs, durable)
}

// Held returns how many records name each provider (see runs.Store.Held).
func (db *DB) Held(ids []kad.PeerID) ([]int, error) { return db.providers.Held(ids) }

// RemoveProvider implements records.Store.
func (db *DB) RemoveProvider(now time.Time, key []byte, id kad.PeerID) error {
	return db.providers.RemoveProvider(now, key, id)
}

// expireStep bounds the values that one call of Expire removes.
const expireStep = 1000

// Expire implements records.Store. It removes values one by one and provider records by whole
// epochs.
func (db *DB) Expire(now time.Time) (out records.Expired, err error) {
	var values int64
	var more bool
	err = db.do("expire", ownLimit, func(x *txn) (err error) {
		values, more, err = x.expireValues(now.Add(-records.ExpireGrace), expireStep)
		return err
	})
	if err != nil {
		values, more = 0, false
	}
	db.expiredValues.Add(values)
	// A failure in one file must not keep the others from expiring.
	out, e := db.providers.Expire(now)
	out.Records[records.KindValue], out.More = values, out.More || more
	return out, disk.FirstErr(err, e)
}
