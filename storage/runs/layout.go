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

// The longest that records and addresses may seem to live, in seconds: see records.Live.
const (
	recordLife  = uint64((records.MaxTTL + records.ExpireGrace) / time.Second)
	addressLife = uint64((records.ProviderAddrTTL + records.ExpireGrace) / time.Second)
)

// ahead reports whether an expiry is later than a lifetime from now can explain: the
// clock was ahead when it was stored. A now of 0 is no time, see salvage.take.
func ahead(now, expires uint32, most uint64) bool {
	return now != 0 && uint64(expires) > uint64(now)+most
}

// live is records.Live for a record.
func live(now, expires uint32) bool { return expires > now && !ahead(now, expires, recordLife) }

func fromSeconds(s uint32) time.Time { return time.Unix(int64(s), 0).UTC() }

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

// metaUint reads a number of the bucket meta.
func metaUint(meta *bbolt.Bucket, key []byte) (uint32, error) {
	row := meta.Get(key)
	if len(row) != 4 {
		return 0, fmt.Errorf("%w: %s of %d bytes", ErrCorrupt, key, len(row))
	}
	return binary.BigEndian.Uint32(row), nil
}

// decodeAddrs decodes what disk.AppendAddrs wrote into fresh memory, and says whether
// it was whole.
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
