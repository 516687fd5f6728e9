package runs

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// The files and the version of what they hold.
const (
	LogName  = "providers-log.db"
	RunsName = "providers-runs.db"

	schemaVersion = 2
)

// Buckets of both files and of each; the numbered ones have a prefix.
var (
	bucketMeta   = []byte("meta")
	bucketIDs    = []byte("ids")    // log: peer ID -> provider number
	bucketPeers  = []byte("peers")  // log: number -> sealed peer ID and addresses
	bucketCounts = []byte("counts") // log: number -> sealed records by epoch
	bucketLast   = []byte("last")   // log: epoch of the newest record | number
	bucketRuns   = []byte("runs")   // runs: run number -> sealed description

	logBuckets  = [][]byte{bucketMeta, bucketIDs, bucketPeers, bucketCounts, bucketLast}
	runsBuckets = [][]byte{bucketMeta, bucketRuns}

	prefixLog    = byte('L') // log: generation -> bucket of chunk number -> entries
	prefixBlocks = byte('R') // runs: run -> bucket of last record -> block
	prefixFilter = byte('F') // runs: run -> bucket of segment, part -> filter
)

// Keys of the bucket meta.
var (
	keySchema  = []byte("schema")  // u32
	keyStore   = []byte("store")   // 16 random bytes, the same in both files
	keyState   = []byte("state")   // log: sealed state
	keyFlushed = []byte("flushed") // runs: u32, the last generation that is in runs
	keyNextRun = []byte("nextrun") // runs: u32
	keySeed    = []byte("seed")    // runs: 16 random bytes, see hashSeed
)

// storeIDLen is the length of what pairs the two files.
const storeIDLen = 16

// epochSeconds is the span of expiry times that share runs. Shorter drops sooner,
// longer looks into fewer runs: 48 h of records are 17 epochs.
const epochSeconds = 3 * 60 * 60

func epochOf(expires uint32) uint32 { return expires / epochSeconds }

// recordKey is what a record is filed under: the first half of the wire key's
// kad.Key.
type recordKey [16]byte

func recordKeyOf(wireKey []byte) recordKey {
	k := kad.KeyOf(wireKey)
	return recordKey(k[:16])
}

// recordLen is the length of a record in a block: key, number, expires.
const recordLen = 16 + 4 + 4

// idLen is the part of a record that tells it from others: key, number.
const idLen = 16 + 4

// record is one as tables and runs hold it.
type record struct {
	key     recordKey
	number  uint32 // of its provider
	expires uint32 // seconds
}

func (r *record) append(b []byte) []byte {
	b = append(b, r.key[:]...)
	b = binary.BigEndian.AppendUint32(b, r.number)
	return binary.BigEndian.AppendUint32(b, r.expires)
}

func recordID(key *recordKey, number uint32) (id [idLen]byte) {
	copy(id[:], key[:])
	binary.BigEndian.PutUint32(id[16:], number)
	return id
}

// seconds encodes an expiry, rounded down; what is out of range (1970 to 2106)
// becomes the nearest that fits.
func seconds(t time.Time) uint32 { return uint32(min(max(t.Unix(), 0), math.MaxUint32)) }

func fromSeconds(s uint32) time.Time { return time.Unix(int64(s), 0).UTC() }

func u32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

// numbered returns the name of a numbered bucket.
func numbered(prefix byte, n uint32) []byte { return binary.BigEndian.AppendUint32([]byte{prefix}, n) }

// eachNumbered calls fn with the buckets of a prefix in order of their numbers.
func eachNumbered(tx *bbolt.Tx, prefix byte, fn func(n uint32) error) error {
	c := tx.Cursor()
	for k, _ := c.Seek([]byte{prefix}); len(k) > 0 && k[0] == prefix; k, _ = c.Next() {
		if len(k) != 5 {
			return fmt.Errorf("%w: bucket %x", ErrCorrupt, k)
		}
		if err := fn(binary.BigEndian.Uint32(k[1:])); err != nil {
			return err
		}
	}
	return nil
}

// bucketOf returns a bucket that creation has made. Its absence is damage.
func bucketOf(tx *bbolt.Tx, name []byte) (*bbolt.Bucket, error) {
	b := tx.Bucket(name)
	if b == nil {
		return nil, fmt.Errorf("%w: bucket %q is missing", ErrCorrupt, name)
	}
	return b, nil
}

// metaUint reads a number of the bucket meta.
func metaUint(meta *bbolt.Bucket, key []byte) (uint32, error) {
	row := meta.Get(key)
	if len(row) != 4 {
		return 0, fmt.Errorf("%w: %s of %d bytes", ErrCorrupt, key, len(row))
	}
	return binary.BigEndian.Uint32(row), nil
}

// bbolt has no checksums below its meta pages, so everything stored carries one:
// format byte, CRC-32C of where it belongs and of the payload, payload.
const (
	rowFormat  = 1
	sealHeader = 1 + 4
	maxRow     = 64 << 10 // bytes of a sealed row; a damaged length is no reason to allocate
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// newRow returns room for a sealed row; the payload is appended to it.
func newRow(size int) []byte { return make([]byte, sealHeader, sealHeader+size) }

func rowSum(bucket, key, payload []byte) uint32 {
	sum := crc32.Update(0, castagnoli, bucket)
	sum = crc32.Update(sum, castagnoli, key)
	return crc32.Update(sum, castagnoli, payload)
}

// seal completes a row begun with newRow.
func seal(bucket, key, row []byte) []byte {
	row[0] = rowFormat
	binary.BigEndian.PutUint32(row[1:], rowSum(bucket, key, row[sealHeader:]))
	return row
}

// unseal returns the payload of a sealed row, or ErrCorrupt.
func unseal(bucket, key, row []byte) ([]byte, error) {
	switch {
	case len(row) < sealHeader || len(row) > maxRow:
		return nil, fmt.Errorf("%w: row of %d bytes in %q", ErrCorrupt, len(row), bucket)
	case row[0] != rowFormat:
		return nil, fmt.Errorf("%w: row of format %d in %q", ErrCorrupt, row[0], bucket)
	case rowSum(bucket, key, row[sealHeader:]) != binary.BigEndian.Uint32(row[1:]):
		return nil, fmt.Errorf("%w: checksum of a row in %q", ErrCorrupt, bucket)
	}
	return row[sealHeader:], nil
}

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

func (d *decoder) u32() uint32 { return uint32(d.uint(4)) }

// end reports a payload that was too short or too long.
func (d *decoder) end(bucket []byte) error {
	if d.bad || len(d.b) != 0 {
		return fmt.Errorf("%w: row in %q does not parse", ErrCorrupt, bucket)
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

// decodeAddrs decodes what appendAddrs wrote into fresh memory, and says whether
// it was whole.
func decodeAddrs(packed []byte) ([][]byte, bool) {
	d := decoder{b: packed}
	n := int(d.uint(1))
	if n == 0 || n > records.MaxProviderAddrs {
		return nil, n == 0 && !d.bad && len(d.b) == 0
	}
	own := append([]byte(nil), d.b...)
	d.b = own
	out := make([][]byte, 0, n)
	for range n {
		out = append(out, d.bytes(int(d.uint(2))))
	}
	return out, !d.bad && len(d.b) == 0
}
