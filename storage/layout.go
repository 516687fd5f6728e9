package storage

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// schemaVersion is stored in the file. Older schemas are migrated (see migrate); newer ones
// are refused.
const schemaVersion = 2

// Buckets. The package documentation describes their contents.
var (
	bucketMeta        = []byte("meta")
	bucketValues      = []byte("values")
	bucketValueExpiry = []byte("value_expiry")
	bucketKeystore    = []byte("keystore")
	bucketSnapshot    = []byte("snapshot")
	bucketAccounts    = []byte("value_accounts") // created when needed; see txn.storeAccounts

	buckets = [][]byte{
		bucketMeta, bucketValues, bucketValueExpiry, bucketKeystore, bucketSnapshot,
	}
)

// Keys in the meta bucket.
var (
	keySchema   = []byte("schema")   // u32
	keyNetwork  = []byte("network")  // text, may be empty
	keyCreated  = []byte("created")  // nanoseconds
	keyProgram  = []byte("program")  // text, see Options.Program
	keyNode     = []byte("node")     // text, see NoteNode
	keyCounters = []byte("counters") // see counters
	keyAccounts = []byte("accounts") // u64, see accountsNoted
)

// Bounds on the parts of a row.
const (
	maxValueRow   = 1 << 20 // value in bytes
	maxNetworkLen = 1024
	maxProgramLen = 128 // longer than any name and version
)

// rowOverhead estimates what bbolt adds to a row: its element header and the share of the
// page that stays empty.
const rowOverhead = 16

// encodeValue returns the row of a value: when it was received and when it expires, in
// nanoseconds, the length of the publisher's ID and the ID, and the value. disk.Seal puts a
// format byte and a checksum before them (internal/disk/row.go).
func encodeValue(v *records.Value) []byte {
	row := disk.NewRow(8 + 8 + 1 + len(v.Publisher) + len(v.Value))
	row = appendTime(row, v.Received)
	row = appendTime(row, v.Expires)
	row = append(row, byte(len(v.Publisher)))
	row = append(row, v.Publisher...)
	row = append(row, v.Value...)
	return disk.Seal(bucketValues, v.Key, row)
}

// decodeValue returns a value that does not alias row.
func decodeValue(key, row []byte) (records.Value, error) {
	payload, err := disk.Unseal(bucketValues, key, row)
	if err != nil {
		return records.Value{}, err
	}
	d := disk.Decoder{B: payload}
	v := records.Value{Key: clone(key), Received: timeOf(&d), Expires: timeOf(&d)}
	if n := d.Byte(); n > 0 {
		v.Publisher = clone(d.Bytes(n))
	}
	v.Value = clone(d.Bytes(len(d.B)))
	return v, d.End(bucketValues)
}

// nanos encodes a time. The zero time is 0. Years after 2262 are encoded as the last instant
// that fits.
func nanos(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.Year() > 2261:
		return math.MaxInt64
	case t.Year() < 1679:
		return math.MinInt64
	}
	return t.UnixNano()
}

func fromNanos(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

func appendTime(b []byte, t time.Time) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(nanos(t)))
}

// timeOf decodes a time that appendTime wrote.
func timeOf(d *disk.Decoder) time.Time { return fromNanos(int64(d.Uint(8))) }
