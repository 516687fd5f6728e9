package storage

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/records"
)

// schemaVersion is written into the file. Older ones are brought up to date, see
// migrate; newer ones are refused.
const schemaVersion = 2

// Buckets; see the package documentation for what they hold.
var (
	bucketMeta        = []byte("meta")
	bucketValues      = []byte("values")
	bucketValueExpiry = []byte("value_expiry")
	bucketKeystore    = []byte("keystore")
	bucketSnapshot    = []byte("snapshot")

	buckets = [][]byte{
		bucketMeta, bucketValues, bucketValueExpiry, bucketKeystore, bucketSnapshot,
	}
)

// Keys of the bucket meta.
var (
	keySchema   = []byte("schema")   // u32
	keyNetwork  = []byte("network")  // text, may be empty
	keyCreated  = []byte("created")  // nanoseconds
	keyCounters = []byte("counters") // see counters
)

// Bounds of rows. A damaged length must not become a large allocation.
const (
	maxValueRow   = 1 << 20 // bytes of a value
	maxNetworkLen = 1024
)

// rowOverhead estimates what bbolt adds to a row: its element header and the
// share of a page that is not filled.
const rowOverhead = 16

// sealHeader is the length of what seal puts before a payload.
const sealHeader = 1 + 4

// rowFormat is the first byte of every sealed row. Another one is newer.
const rowFormat = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// rowSum covers the bucket, the key and the payload, so that a row that turns up
// in the wrong place does not count as whole.
func rowSum(bucket, key, payload []byte) uint32 {
	sum := crc32.Update(0, castagnoli, bucket)
	sum = crc32.Update(sum, castagnoli, key)
	return crc32.Update(sum, castagnoli, payload)
}

// newRow returns room for a sealed row; the payload is appended to it.
func newRow(size int) []byte { return make([]byte, sealHeader, sealHeader+size) }

// seal completes a row begun with newRow: format, CRC-32C, payload.
func seal(bucket, key, row []byte) []byte {
	row[0] = rowFormat
	binary.BigEndian.PutUint32(row[1:], rowSum(bucket, key, row[sealHeader:]))
	return row
}

// unseal returns the payload of a sealed row, or ErrCorrupt.
func unseal(bucket, key, row []byte) ([]byte, error) {
	if len(row) < sealHeader || len(row) > maxRow {
		return nil, fmt.Errorf("%w: row of %d bytes in %s", ErrCorrupt, len(row), bucket)
	}
	if row[0] != rowFormat {
		return nil, fmt.Errorf("%w: row of format %d in %s", ErrCorrupt, row[0], bucket)
	}
	payload := row[sealHeader:]
	if rowSum(bucket, key, payload) != binary.BigEndian.Uint32(row[1:]) {
		return nil, fmt.Errorf("%w: checksum of a row in %s", ErrCorrupt, bucket)
	}
	return payload, nil
}

// maxRow bounds any row: the largest is a snapshot of MaxSnapshotPeers peers.
const maxRow = 16 << 20

// decoder takes a payload apart. After the first shortage all it returns is
// empty and bad is set, so that callers check once at the end.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) bytes(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.bad, d.b = true, nil
		return nil
	}
	out := d.b[:n:n]
	d.b = d.b[n:]
	return out
}

func (d *decoder) uint(n int) (v uint64) {
	for _, b := range d.bytes(n) {
		v = v<<8 | uint64(b)
	}
	return v
}

func (d *decoder) byte() int       { return int(d.uint(1)) }
func (d *decoder) time() time.Time { return fromNanos(int64(d.uint(8))) }

// end reports a payload that was too short or too long.
func (d *decoder) end(bucket []byte) error {
	if d.bad || len(d.b) != 0 {
		return fmt.Errorf("%w: row in %s does not parse", ErrCorrupt, bucket)
	}
	return nil
}

// appendAddrs encodes a list of addresses: a count, then lengths and bytes.
func appendAddrs(b []byte, addrs [][]byte) []byte {
	b = append(b, byte(len(addrs)))
	for _, a := range addrs {
		b = binary.BigEndian.AppendUint16(b, uint16(len(a)))
		b = append(b, a...)
	}
	return b
}

// addrs decodes what appendAddrs wrote into fresh memory.
func (d *decoder) addrs() [][]byte {
	n := d.byte()
	if n == 0 || n > records.MaxProviderAddrs {
		d.bad = d.bad || n != 0
		return nil
	}
	out := make([][]byte, 0, n)
	for range n {
		out = append(out, append([]byte(nil), d.bytes(int(d.uint(2)))...))
	}
	return out
}

// nanos encodes a time; the zero time is 0. Years beyond 2262 become the last
// instant that fits.
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

func u32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

// bucketOf returns a bucket that open has made. Its absence is damage.
func bucketOf(tx *bbolt.Tx, name []byte) (*bbolt.Bucket, error) {
	b := tx.Bucket(name)
	if b == nil {
		return nil, fmt.Errorf("%w: bucket %s is missing", ErrCorrupt, name)
	}
	return b, nil
}
