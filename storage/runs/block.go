package runs

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// The layout of blocks. A leaf page has a header of 16 bytes, and each row has a header of 16
// bytes in addition to its key and value. With blocks of 83 records, two rows fill a page: 16
// + 2*(16 + 20 + 9 + 83*24) = 4090 of 4096 bytes.
//
// Every leaf must be exactly one page. Otherwise free space becomes fragmented, and the file
// grows forever. bbolt does not split a leaf of four rows or fewer, so the last four rows of
// a transaction must fit into one page together: 16 + 4*(16 + 20 + 9 + 40*24) = 4036.
const (
	blockRecords = 83
	tailRecords  = 40
	tailBlocks   = 4

	// segmentRecords is 6.3 MB of records and 12 MB of memory to build their filter: a
	// transaction of 30 ms.
	segmentRecords = 256 << 10

	blockHeader = 1 + 4 + 4 // format, CRC-32C of the rest, number of the run
)

// compareKeys compares keys as big-endian numbers.
func compareKeys(a, b *recordKey) int {
	if c := cmp.Compare(binary.BigEndian.Uint64(a[:]), binary.BigEndian.Uint64(b[:])); c != 0 {
		return c
	}
	return cmp.Compare(binary.BigEndian.Uint64(a[8:]), binary.BigEndian.Uint64(b[8:]))
}

// sealBlock completes a block whose records follow the header.
func sealBlock(run uint32, block []byte) {
	block[0] = disk.Format
	binary.BigEndian.PutUint32(block[5:], run)
	binary.BigEndian.PutUint32(block[1:], disk.Sum(block[5:]))
}

// putBlocks appends sorted records to a run's bucket. It builds the blocks in arena, which it
// returns and which may be reused after the commit.
func putBlocks(b *bbolt.Bucket, run uint32, recs []record, arena []byte, s shape) ([]byte, error) {
	b.FillPercent = 1
	need := len(recs)*recordLen + blockHeader*(len(recs)/s.block+1+tailBlocks)
	if cap(arena)-len(arena) < need { // its content is in use until the commit
		arena = make([]byte, 0, need)
	}
	for len(recs) > 0 {
		size := min(s.tail, len(recs))
		if most := len(recs) - tailBlocks*s.tail; most > 0 {
			size = min(s.block, most)
		}
		start := len(arena)
		arena = append(arena, make([]byte, blockHeader)...)
		for i := range recs[:size] {
			arena = recs[i].append(arena)
		}
		block := arena[start:]
		sealBlock(run, block)
		last := block[len(block)-recordLen:]
		if err := b.Put(last[:idLen], block); err != nil {
			return arena, err
		}
		recs = recs[size:]
	}
	return arena, nil
}

// openBlock returns the records of a run's block stored under key, or ErrCorrupt. A block of
// another run is damage.
func openBlock(run uint32, key, value []byte) ([]byte, error) {
	recs, of, err := readBlock(key, value)
	if err == nil && of != run {
		return nil, fmt.Errorf("%w: block of run %d", ErrCorrupt, of)
	}
	return recs, err
}

// readBlock returns the records of a block stored under key and the number of its run, or
// ErrCorrupt.
func readBlock(key, value []byte) (recs []byte, run uint32, err error) {
	if len(value) < blockHeader+recordLen || (len(value)-blockHeader)%recordLen != 0 {
		return nil, 0, fmt.Errorf("%w: block of %d bytes", ErrCorrupt, len(value))
	}
	recs = value[blockHeader:]
	last := recs[len(recs)-recordLen:]
	switch {
	case value[0] != disk.Format:
		return nil, 0, fmt.Errorf("%w: block of format %d", ErrCorrupt, value[0])
	case disk.Sum(value[5:]) != binary.BigEndian.Uint32(value[1:]):
		return nil, 0, fmt.Errorf("%w: checksum of a block", ErrCorrupt)
	case !bytes.Equal(key, last[:idLen]):
		return nil, 0, fmt.Errorf("%w: block is stored under another record", ErrCorrupt)
	}
	return recs, binary.BigEndian.Uint32(value[5:]), nil
}

// recordAt decodes record i of a block.
func recordAt(recs []byte, i int) (r record) {
	b := recs[i*recordLen:]
	copy(r.key[:], b)
	r.number = binary.BigEndian.Uint32(b[16:])
	r.expires = binary.BigEndian.Uint32(b[20:])
	return r
}

// searchBlock returns the index of the first record that is not less than id.
func searchBlock(recs []byte, id *[idLen]byte) int {
	low, high := 0, len(recs)/recordLen
	prefix := binary.BigEndian.Uint64(id[:])
	for low < high {
		mid := (low + high) / 2
		at := recs[mid*recordLen:]
		p := binary.BigEndian.Uint64(at)
		if p < prefix || p == prefix && bytes.Compare(at[8:idLen], id[8:]) < 0 {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}
