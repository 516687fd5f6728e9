package runs

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"

	"github.com/FastFilter/xorfilter"
	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// segment is the part of a run that one transaction wrote. Each segment has its own filter,
// so that the memory needed to build a filter is bounded, however large the run.
type segment struct {
	start   recordKey // key of the first record
	records uint32
	filter  *xorfilter.BinaryFuse8 // nil: no filter, every key may be in the segment
}

// filterPart is the length of a part of a stored filter. With four-byte keys, four rows fill
// a page (see blockRecords).
const filterPart = 980

// filterHeader is the length of the CRC-32C and of the filter's own fields before its
// fingerprints.
const filterHeader = 4 + 8 + 4*4

// hashSeed is chosen randomly when a store is created, so that an attacker cannot choose keys
// that collide in filters or tables.
type hashSeed [2]uint64

// hash returns the hash of a key for filters and tables.
func (s *hashSeed) hash(key *recordKey) uint64 {
	hi, lo := bits.Mul64(binary.BigEndian.Uint64(key[:])^s[0], binary.BigEndian.Uint64(key[8:])^s[1])
	return hi ^ lo
}

// filterBuilder builds filters and reuses its memory.
type filterBuilder struct {
	seed  hashSeed
	build xorfilter.BinaryFuseBuilder
	keys  []uint64
}

// filter returns the filter of sorted records, or nil if it could not be built. A missing
// filter only makes lookups slower.
func (b *filterBuilder) filter(recs []record) *xorfilter.BinaryFuse8 {
	b.keys = b.keys[:0]
	for i := range recs {
		if i == 0 || recs[i].key != recs[i-1].key {
			b.keys = append(b.keys, b.seed.hash(&recs[i].key))
		}
	}
	f, err := xorfilter.BuildBinaryFuse[uint8](&b.build, b.keys)
	if err != nil {
		return nil
	}
	f.Fingerprints = slices.Clone(f.Fingerprints)
	return (*xorfilter.BinaryFuse8)(&f)
}

func filterKey(segment, part int) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(segment))
	return binary.BigEndian.AppendUint16(b, uint16(part))
}

// putFilter appends the filter of a segment to a run's filter bucket.
func putFilter(b *bbolt.Bucket, seg int, f *xorfilter.BinaryFuse8) error {
	if f == nil {
		return nil
	}
	b.FillPercent = 1
	blob := make([]byte, 4, filterHeader+len(f.Fingerprints))
	blob = binary.BigEndian.AppendUint64(blob, f.Seed)
	for _, v := range []uint32{f.SegmentLength, f.SegmentLengthMask, f.SegmentCount, f.SegmentCountLength} {
		blob = binary.BigEndian.AppendUint32(blob, v)
	}
	blob = append(blob, f.Fingerprints...)
	binary.BigEndian.PutUint32(blob, disk.Sum(blob[4:]))
	for part := 0; len(blob) > 0; part++ {
		n := min(len(blob), filterPart)
		if err := b.Put(filterKey(seg, part), blob[:n]); err != nil {
			return err
		}
		blob = blob[n:]
	}
	return nil
}

// loadFilter reads the filter of a segment. It returns nil without an error if there is none.
func loadFilter(b *bbolt.Bucket, seg int) (*xorfilter.BinaryFuse8, error) {
	var blob []byte
	c := b.Cursor()
	for k, v := c.Seek(filterKey(seg, 0)); len(k) == 4 && binary.BigEndian.Uint16(k) == uint16(seg); k, v = c.Next() {
		blob = append(blob, v...)
	}
	if len(blob) == 0 {
		return nil, nil
	}
	d := disk.Decoder{B: blob}
	sum := d.U32()
	f := &xorfilter.BinaryFuse8{
		Seed: d.Uint(8), SegmentLength: d.U32(), SegmentLengthMask: d.U32(),
		SegmentCount: d.U32(), SegmentCountLength: d.U32(),
	}
	f.Fingerprints = slices.Clone(d.B)
	if d.Bad || disk.Sum(blob[4:]) != sum || !plausible(f) {
		return nil, fmt.Errorf("%w: filter of segment %d", ErrCorrupt, seg)
	}
	return f, nil
}

// plausible reports whether the fields of a filter are consistent, so that a lookup stays
// within its fingerprints.
func plausible(f *xorfilter.BinaryFuse8) bool {
	n, l := uint64(len(f.Fingerprints)), uint64(f.SegmentLength)
	return l > 0 && l&(l-1) == 0 && uint64(f.SegmentLengthMask) == l-1 &&
		uint64(f.SegmentCountLength) == uint64(f.SegmentCount)*l && n == (uint64(f.SegmentCount)+2)*l
}
