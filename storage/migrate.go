package storage

import (
	"encoding/binary"
	"fmt"
	"iter"
	"os"
	"time"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// Schema 1 kept everything in one file, with provider records as rows:
//
//	providers       epoch of expiry -> bucket of key[16] | provider number -> expires
//	provider_addrs  provider number -> expiry of addresses, peer ID, addresses; sealed
//
// Three more buckets counted and collected them.
const oldSchema = 1

var (
	oldProviders     = []byte("providers")
	oldProviderAddrs = []byte("provider_addrs")

	oldBuckets = [][]byte{
		oldProviders, oldProviderAddrs, []byte("provider_epochs"), []byte("provider_ids"), []byte("provider_last"),
	}
)

// errOldSchema is returned for a file that migrate can convert.
var errOldSchema = fmt.Errorf("%w: an older version wrote it; the next start of the daemon migrates it", ErrSchema)

// migrate replaces a file of schema 1 with files of the current schema and keeps the old file
// beside them. A crash leaves either the old file or all of the new ones.
func (db *DB) migrate() error {
	db.log.Info("storage: migrating the database to the current schema", "file", db.path, "schema", schemaVersion)
	if err := discardStaged(db.dir); err != nil {
		return err
	}
	err := db.file.View(func(old *bbolt.Tx) error {
		return disk.FirstErr(db.migrateState(old), db.migrateProviders(old))
	})
	if err == nil {
		err = db.file.Close(nil)
	}
	var kept []string
	if err == nil {
		kept, err = adopt(db.dir, dbFiles, fmt.Sprintf("%s-%d", suffixSchema, oldSchema))
	}
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	db.dropCopies(kept)
	db.log.Info("storage: database migrated; the old file is kept", "kept", kept)
	return nil
}

// migrateState writes the new file of everything except provider records. The pages of the
// provider records become free pages; Compact releases them.
func (db *DB) migrateState(old *bbolt.Tx) error {
	path := staged(db.dir, FileName)
	if err := old.CopyFile(path, 0o600); err != nil {
		return err
	}
	dst, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return err
	}
	err = dst.Update(func(tx *bbolt.Tx) error {
		for _, name := range oldBuckets {
			if err := tx.DeleteBucket(name); err != nil {
				return err
			}
		}
		meta, err := disk.BucketOf(tx, bucketMeta)
		if err != nil {
			return err
		}
		c, err := decodeOldCounters(meta.Get(keyCounters))
		if err != nil {
			return err
		}
		return disk.FirstErr(c.store(tx), meta.Put(keySchema, disk.U32(schemaVersion)))
	})
	return disk.FirstErr(err, dst.Close())
}

// decodeOldCounters decodes the counters of schema 1: the records and then the bytes of
// providers and of values, the number of providers, the published keys of both kinds, clean.
func decodeOldCounters(row []byte) (counters, error) {
	payload, err := disk.Unseal(bucketMeta, keyCounters, row)
	if err != nil {
		return counters{}, err
	}
	var c counters
	var other int64
	d := disk.Decoder{B: payload}
	for _, f := range []*int64{&other, &c.Values, &other, &c.ValueBytes, &other, &c.Published[0], &c.Published[1]} {
		*f = int64(d.Uint(8))
	}
	c.Clean = d.Byte() == 1
	return c, d.End(bucketMeta)
}

// migrateProviders fills new files with the provider records.
func (db *DB) migrateProviders(old *bbolt.Tx) error {
	names, err := oldPeers(old)
	if err != nil {
		return err
	}
	epochs, err := disk.BucketOf(old, oldProviders)
	if err != nil {
		return err
	}
	dst, err := db.stageProviders()
	if err != nil {
		return err
	}
	whole, err := dst.Import(oldRecords(epochs, names))
	if err == nil && !whole {
		db.log.Warn("storage: migration dropped provider records over the quotas")
	}
	return disk.FirstErr(err, dst.Close())
}

// oldPeer is a row of provider_addrs.
type oldPeer struct {
	id          kad.PeerID
	addrs       [][]byte
	addrsExpire uint32
}

// oldPeers reads the providers by number.
func oldPeers(tx *bbolt.Tx) (map[uint32]oldPeer, error) {
	rows, err := disk.BucketOf(tx, oldProviderAddrs)
	if err != nil {
		return nil, err
	}
	peers := make(map[uint32]oldPeer)
	err = rows.ForEach(func(key, row []byte) error {
		payload, err := disk.Unseal(oldProviderAddrs, key, row)
		if err != nil || len(key) != 4 {
			return err
		}
		d := disk.Decoder{B: payload}
		p := oldPeer{addrsExpire: uint32(d.Uint(4))}
		p.id = kad.PeerID(d.Bytes(d.Byte()))
		p.addrs = d.Addrs()
		peers[binary.BigEndian.Uint32(key)] = p
		return d.End(oldProviderAddrs)
	})
	return peers, err
}

// oldRecords iterates over the records of all epochs, oldest first.
func oldRecords(epochs *bbolt.Bucket, peers map[uint32]oldPeer) iter.Seq[runs.Row] {
	return func(yield func(runs.Row) bool) {
		_ = epochs.ForEachBucket(func(epoch []byte) error {
			return epochs.Bucket(epoch).ForEach(func(key, value []byte) error {
				if len(key) != 20 || len(value) != 4 {
					return nil
				}
				p, ok := peers[binary.BigEndian.Uint32(key[16:])]
				if ok && !yield(runs.Row{
					Key: [16]byte(key), Expires: binary.BigEndian.Uint32(value),
					ID: p.id, Addrs: p.addrs, AddrsExpire: p.addrsExpire,
				}) {
					return os.ErrClosed
				}
				return nil
			})
		})
	}
}
