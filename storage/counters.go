package storage

import (
	"encoding/binary"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// counters are the numbers that Stats reports about the contents. They change in the same
// transaction as the contents, so they are correct after any crash.
type counters struct {
	Values     int64
	ValueBytes int64 // estimated
	Published  [records.NumKinds]int64
	// Clean is set by Close and cleared by the first commit after Open.
	Clean bool
}

// fields lists the numbers in the order in which they are stored.
func (c *counters) fields() []*int64 {
	return []*int64{&c.Values, &c.ValueBytes, &c.Published[0], &c.Published[1]}
}

func (c *counters) encode() []byte {
	row := disk.NewRow(8*4 + 1)
	for _, f := range c.fields() {
		row = binary.BigEndian.AppendUint64(row, uint64(*f))
	}
	clean := byte(0)
	if c.Clean {
		clean = 1
	}
	return disk.Seal(bucketMeta, keyCounters, append(row, clean))
}

func decodeCounters(row []byte) (counters, error) {
	payload, err := disk.Unseal(bucketMeta, keyCounters, row)
	if err != nil {
		return counters{}, err
	}
	var c counters
	d := disk.Decoder{B: payload}
	for _, f := range c.fields() {
		*f = int64(d.Uint(8))
	}
	c.Clean = d.Byte() == 1
	return c, d.End(bucketMeta)
}

// loadCounters reads the counters as of a transaction.
func loadCounters(tx *bbolt.Tx) (counters, error) {
	meta, err := disk.BucketOf(tx, bucketMeta)
	if err != nil {
		return counters{}, err
	}
	return decodeCounters(meta.Get(keyCounters))
}

// store writes the counters.
func (c *counters) store(tx *bbolt.Tx) error {
	meta, err := disk.BucketOf(tx, bucketMeta)
	if err != nil {
		return err
	}
	return disk.FirstErr(meta.Put(keyCounters, c.encode()), noteAccounts(tx, meta))
}
