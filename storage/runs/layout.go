package runs

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// The names of the files, and the version of their layout.
const (
	LogName  = "providers-log.db"
	RunsName = "providers-runs.db"

	schemaVersion = 2
)

// The buckets. meta is in both files. Numbered buckets have a prefix.
var (
	bucketMeta      = []byte("meta")
	bucketIDs       = []byte("ids")    // log: peer ID -> provider number
	bucketProviders = []byte("peers")  // log: number -> sealed peer ID and addresses
	bucketCounts    = []byte("counts") // log: number -> sealed records by epoch
	bucketLast      = []byte("last")   // log: epoch of the newest record | number
	bucketRuns      = []byte("runs")   // runs: run number -> sealed description

	logBuckets  = [][]byte{bucketMeta, bucketIDs, bucketProviders, bucketCounts, bucketLast}
	runsBuckets = [][]byte{bucketMeta, bucketRuns}

	prefixLog    = byte('L') // log: generation -> bucket of chunk number -> entries
	prefixBlocks = byte('R') // runs: run -> bucket of last record -> block
	prefixFilter = byte('F') // runs: run -> bucket of segment, part -> filter
)

// Keys in the meta bucket.
var (
	keySchema  = []byte("schema")  // u32
	keyStore   = []byte("store")   // 16 random bytes, the same in both files
	keyState   = []byte("state")   // log: sealed state
	keyFlushed = []byte("flushed") // runs: u32, the last generation that has been written to runs
	keyNextRun = []byte("nextrun") // runs: u32
	keySeed    = []byte("seed")    // runs: 16 random bytes, see hashSeed
)

// storeIDLen is the length of the id that pairs the two files.
const storeIDLen = 16

// epochSeconds is the span of expiry times whose records share runs. A shorter span drops
// records earlier; a longer one lets lookups read fewer runs. 48 hours of records are 17
// epochs.
const epochSeconds = 3 * 60 * 60

func epochOf(expires uint32) uint32 { return expires / epochSeconds }

// recordKey is the key under which a record is stored: the first half of the wire key's
// kad.Key.
type recordKey [16]byte

func recordKeyOf(wireKey []byte) recordKey {
	k := kad.KeyOf(wireKey)
	return recordKey(k[:16])
}

// recordLen is the length of a record in a block: key, number, expires.
const recordLen = 16 + 4 + 4

// idLen is the length of the part of a record that identifies it: key, number.
const idLen = 16 + 4

// record is a record in a table or a run.
type record struct {
	key     recordKey
	number  uint32 // of the provider
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

// seconds encodes an expiry, rounded down. Times out of range (1970 to 2106) become the
// nearest one that fits.
func seconds(t time.Time) uint32 { return uint32(min(max(t.Unix(), 0), math.MaxUint32)) }

// The longest plausible lifetimes of records and addresses, in seconds (see records.Live).
const (
	recordLife  = uint64((records.MaxTTL + records.ExpireGrace) / time.Second)
	addressLife = uint64((records.ProviderAddrTTL + records.ExpireGrace) / time.Second)
)

// ahead reports whether an expiry is later than any lifetime that starts now can explain,
// which means that the clock was ahead when it was stored. With now 0, the time is unknown
// (see salvage.take).
func ahead(now, expires uint32, most uint64) bool {
	return now != 0 && uint64(expires) > uint64(now)+most
}

// live is records.Live for an encoded expiry.
func live(now, expires uint32) bool { return expires > now && !ahead(now, expires, recordLife) }

func fromSeconds(s uint32) time.Time { return time.Unix(int64(s), 0).UTC() }

// numbered returns the name of a numbered bucket.
func numbered(prefix byte, n uint32) []byte { return binary.BigEndian.AppendUint32([]byte{prefix}, n) }

// eachNumbered calls fn for each bucket with a prefix, in numerical order.
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

// metaUint reads a number in the meta bucket.
func metaUint(meta *bbolt.Bucket, key []byte) (uint32, error) {
	row := meta.Get(key)
	if len(row) != 4 {
		return 0, fmt.Errorf("%w: %s of %d bytes", ErrCorrupt, key, len(row))
	}
	return binary.BigEndian.Uint32(row), nil
}

// decodeAddrs decodes a list that disk.AppendAddrs wrote, without aliasing it, and reports
// whether it was valid.
func decodeAddrs(packed []byte) ([][]byte, bool) {
	d := disk.Decoder{B: packed}
	n := int(d.Uint(1))
	if n == 0 || n > records.MaxAddressesPerProvider {
		return nil, n == 0 && !d.Bad && len(d.B) == 0
	}
	own := append([]byte(nil), d.B...)
	d.B = own
	out := make([][]byte, 0, n)
	for range n {
		out = append(out, d.Bytes(int(d.Uint(2))))
	}
	return out, !d.Bad && len(d.B) == 0
}
