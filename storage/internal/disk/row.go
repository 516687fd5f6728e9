package disk

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/records"
)

// Format is the first byte of every sealed row. A different value comes from a newer version.
const Format = 1

// rowHeader is the length of the header that Seal puts before the payload: Format, CRC-32C.
const rowHeader = 1 + 4

// maxRow bounds a row in bytes. The largest row is a snapshot of records.MaxSnapshotPeers
// peers.
const maxRow = 16 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Sum returns the CRC-32C of b.
func Sum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// rowSum covers the bucket, the key and the payload, so that a row stored in the wrong place
// is detected.
func rowSum(bucket, key, payload []byte) uint32 {
	sum := crc32.Update(0, castagnoli, bucket)
	sum = crc32.Update(sum, castagnoli, key)
	return crc32.Update(sum, castagnoli, payload)
}

// NewRow returns a buffer for a sealed row. The caller appends the payload, of about size
// bytes.
func NewRow(size int) []byte { return make([]byte, rowHeader, rowHeader+size) }

// Seal completes a row that began with NewRow: format, checksum, payload.
func Seal(bucket, key, row []byte) []byte {
	row[0] = Format
	binary.BigEndian.PutUint32(row[1:], rowSum(bucket, key, row[rowHeader:]))
	return row
}

// Unseal returns the payload of a sealed row, or ErrCorrupt.
func Unseal(bucket, key, row []byte) ([]byte, error) {
	switch {
	case len(row) < rowHeader || len(row) > maxRow:
		return nil, fmt.Errorf("%w: row of %d bytes in %s", ErrCorrupt, len(row), bucket)
	case row[0] != Format:
		return nil, fmt.Errorf("%w: row of format %d in %s", ErrCorrupt, row[0], bucket)
	case rowSum(bucket, key, row[rowHeader:]) != binary.BigEndian.Uint32(row[1:]):
		return nil, fmt.Errorf("%w: checksum of a row in %s", ErrCorrupt, bucket)
	}
	return row[rowHeader:], nil
}

// Decoder parses a payload. Once the payload is too short, Bad is set and every method
// returns an empty value, so that callers check once at the end.
type Decoder struct {
	B   []byte // the unread rest
	Bad bool
}

// Bytes returns the next n bytes, not copied.
func (d *Decoder) Bytes(n int) []byte {
	if n < 0 || n > len(d.B) {
		d.Bad, d.B = true, nil
		return nil
	}
	out := d.B[:n:n]
	d.B = d.B[n:]
	return out
}

// Uint returns a big-endian number of n bytes.
func (d *Decoder) Uint(n int) (v uint64) {
	for _, b := range d.Bytes(n) {
		v = v<<8 | uint64(b)
	}
	return v
}

// Byte returns a one-byte number.
func (d *Decoder) Byte() int { return int(d.Uint(1)) }

// U32 returns a four-byte number.
func (d *Decoder) U32() uint32 { return uint32(d.Uint(4)) }

// Addrs returns a list that AppendAddrs wrote, in fresh memory.
func (d *Decoder) Addrs() [][]byte {
	n := d.Byte()
	if n == 0 || n > records.MaxAddressesPerProvider {
		d.Bad = d.Bad || n != 0
		return nil
	}
	out := make([][]byte, 0, n)
	for range n {
		out = append(out, append([]byte(nil), d.Bytes(int(d.Uint(2)))...))
	}
	return out
}

// End returns ErrCorrupt if the payload was too short or too long.
func (d *Decoder) End(bucket []byte) error {
	if d.Bad || len(d.B) != 0 {
		return fmt.Errorf("%w: row in %s does not parse", ErrCorrupt, bucket)
	}
	return nil
}

// AppendAddrs encodes at most 255 addresses: a count, then the length and bytes of each.
func AppendAddrs(b []byte, addrs [][]byte) []byte {
	b = append(b, byte(len(addrs)))
	for _, a := range addrs {
		b = binary.BigEndian.AppendUint16(b, uint16(len(a)))
		b = append(b, a...)
	}
	return b
}

// U32 encodes a number in four bytes.
func U32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

// BucketOf returns a bucket that exists since the file was created. A missing bucket is
// damage.
func BucketOf(tx *bbolt.Tx, name []byte) (*bbolt.Bucket, error) {
	b := tx.Bucket(name)
	if b == nil {
		return nil, fmt.Errorf("%w: bucket %q is missing", ErrCorrupt, name)
	}
	return b, nil
}
