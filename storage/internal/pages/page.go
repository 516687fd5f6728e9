package pages

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"os"

	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// bbolt's file format, version 2, in the byte order of the machine.
const (
	pageHeader  = 16 // id u64, flags u16, count u16, overflow u32
	elementSize = 16 // leaf: flags, pos, ksize, vsize u32; branch: pos, ksize u32, page u64
	bucketSize  = 16 // root page u64, sequence u64

	flagBranch   = 0x01
	flagLeaf     = 0x02
	flagFreelist = 0x10
	flagBucket   = 0x01 // flag of a leaf element whose value is a bucket

	metaMagic   = 0xED0CDAED
	metaVersion = 2
	metaSum     = 56 // offset of the checksum in a meta page
	noFreelist  = ^uint64(0)

	// maxSpan bounds a page including its overflow, in bytes. The freelist of the largest
	// file is 16 MiB.
	maxSpan = 64 << 20
	// maxDepth bounds the height of a tree. A tree with 2^64 rows is lower.
	maxDepth = 64
)

var order = binary.NativeEndian

// pageFile reads the pages of a bbolt file.
type pageFile struct {
	f        io.ReaderAt
	size     int64
	pageSize int64
	root     uint64
	freelist uint64
	pages    uint64 // one more than the highest page in use
}

// openPageFile reads the newest valid meta page. If there is none, it returns disk.ErrCorrupt
// and a pageFile that can only scan.
func openPageFile(f *os.File) (*pageFile, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	p := &pageFile{f: f, size: info.Size(), pageSize: int64(os.Getpagesize())}
	var newest uint64
	var found bool
	for _, off := range p.metaOffsets() {
		size, txid, ok := p.readMeta(off, found, newest)
		if ok {
			found, newest, p.pageSize = true, txid, size
		}
	}
	if !found {
		p.pages = uint64(p.size / p.pageSize)
		return p, fmt.Errorf("%w: no valid meta page", disk.ErrCorrupt)
	}
	if need := int64(p.pages) * p.pageSize; p.pages > uint64(p.size/p.pageSize) {
		return p, fmt.Errorf("%w: file of %d bytes should have %d", disk.ErrCorrupt, p.size, need)
	}
	return p, nil
}

// metaOffsets returns where a meta page may begin: at the first page, and at the second page
// for every possible page size.
func (p *pageFile) metaOffsets() []int64 {
	offs := []int64{0}
	for size := int64(1024); size <= 64<<10; size *= 2 {
		offs = append(offs, size)
	}
	return offs
}

// readMeta adopts the meta page at off if it is valid and newer than newest.
func (p *pageFile) readMeta(off int64, found bool, newest uint64) (pageSize int64, txid uint64, ok bool) {
	var buf [pageHeader + metaSum + 8]byte
	if _, err := p.f.ReadAt(buf[:], off); err != nil {
		return 0, 0, false
	}
	m := buf[pageHeader:]
	sum := fnv.New64a()
	sum.Write(m[:metaSum])
	if order.Uint32(m) != metaMagic || order.Uint32(m[4:]) != metaVersion || order.Uint64(m[metaSum:]) != sum.Sum64() {
		return 0, 0, false
	}
	pageSize, txid = int64(order.Uint32(m[8:])), order.Uint64(m[48:])
	if found && txid <= newest || pageSize < 1024 || off != 0 && off != pageSize {
		return 0, 0, false
	}
	p.root, p.freelist, p.pages = order.Uint64(m[16:]), order.Uint64(m[32:]), order.Uint64(m[40:])
	return pageSize, txid, true
}

// page is a page including its overflow, or the page inside an inline bucket.
type page struct {
	id       uint64
	flags    uint16
	count    int
	overflow uint64
	data     []byte // includes the header
}

// read reads a page and checks its header.
func (p *pageFile) read(id uint64) (*page, error) {
	var own []byte
	return p.readInto(&own, id)
}

// readInto is read with a reusable page buffer.
func (p *pageFile) readInto(reuse *[]byte, id uint64) (*page, error) {
	if id < 2 || id >= p.pages {
		return nil, fmt.Errorf("%w: page %d of %d", disk.ErrCorrupt, id, p.pages)
	}
	if *reuse == nil {
		*reuse = make([]byte, p.pageSize)
	}
	buf := *reuse
	if _, err := p.f.ReadAt(buf, int64(id)*p.pageSize); err != nil {
		return nil, fmt.Errorf("%w: page %d: %w", disk.ErrCorrupt, id, err)
	}
	pg := parsePage(buf)
	if pg.id != id {
		return nil, fmt.Errorf("%w: page %d calls itself %d", disk.ErrCorrupt, id, pg.id)
	}
	span := int64(pg.overflow+1) * p.pageSize
	if id+pg.overflow >= p.pages || span > maxSpan {
		return nil, fmt.Errorf("%w: page %d spans %d pages", disk.ErrCorrupt, id, pg.overflow+1)
	}
	if pg.overflow > 0 {
		pg.data = make([]byte, span)
		if _, err := p.f.ReadAt(pg.data, int64(id)*p.pageSize); err != nil {
			return nil, fmt.Errorf("%w: page %d: %w", disk.ErrCorrupt, id, err)
		}
	}
	return pg, nil
}

// parsePage reads the page header at the start of b, which has at least pageHeader bytes.
func parsePage(b []byte) *page {
	return &page{
		id: order.Uint64(b), flags: order.Uint16(b[8:]), count: int(order.Uint16(b[10:])),
		overflow: uint64(order.Uint32(b[12:])), data: b,
	}
}

// Element is a row of a leaf or a child of a branch.
type Element struct {
	Key, Value []byte
	flags      uint32
	child      uint64
}

// elements parses a leaf or a branch. It returns an error if anything is out of bounds or out
// of order, together with the elements that it could read.
func (pg *page) elements() (out []Element, err error) {
	if pg.flags != flagBranch && pg.flags != flagLeaf {
		return nil, fmt.Errorf("%w: page %d has flags %#x", disk.ErrCorrupt, pg.id, pg.flags)
	}
	n := pg.count
	if most := (len(pg.data) - pageHeader) / elementSize; n > most {
		err = fmt.Errorf("%w: page %d counts %d elements", disk.ErrCorrupt, pg.id, n)
		n = most
	}
	out = make([]Element, 0, n)
	for i := range n {
		e, ok := pg.element(i)
		switch {
		case !ok:
			err = fmt.Errorf("%w: element %d of page %d", disk.ErrCorrupt, i, pg.id)
			continue
		case len(out) > 0 && bytes.Compare(out[len(out)-1].Key, e.Key) >= 0:
			err = fmt.Errorf("%w: element %d of page %d is out of order", disk.ErrCorrupt, i, pg.id)
		}
		out = append(out, e)
	}
	return out, err
}

// element reads element i. Its positions are relative to its own header.
func (pg *page) element(i int) (e Element, ok bool) {
	at := pageHeader + i*elementSize
	h := pg.data[at:]
	var pos, ksize, vsize uint64
	if pg.flags == flagBranch {
		pos, ksize = uint64(order.Uint32(h)), uint64(order.Uint32(h[4:]))
		e.child = order.Uint64(h[8:])
	} else {
		e.flags = order.Uint32(h)
		pos, ksize, vsize = uint64(order.Uint32(h[4:])), uint64(order.Uint32(h[8:])), uint64(order.Uint32(h[12:]))
	}
	start := uint64(at) + pos
	if start+ksize+vsize > uint64(len(pg.data)) || e.flags&^flagBucket != 0 {
		return e, false
	}
	e.Key = pg.data[start : start+ksize]
	e.Value = pg.data[start+ksize : start+ksize+vsize]
	return e, true
}

// bucket parses the value of a bucket element. It returns the root page of the bucket, or the
// page inside it if it is inline.
func (e *Element) bucket() (root uint64, inline *page, err error) {
	if len(e.Value) < bucketSize {
		return 0, nil, fmt.Errorf("%w: bucket %q of %d bytes", disk.ErrCorrupt, e.Key, len(e.Value))
	}
	if root = order.Uint64(e.Value); root != 0 {
		return root, nil, nil
	}
	if len(e.Value) < bucketSize+pageHeader {
		return 0, nil, fmt.Errorf("%w: inline bucket %q of %d bytes", disk.ErrCorrupt, e.Key, len(e.Value))
	}
	inline = parsePage(e.Value[bucketSize:])
	if inline.flags != flagLeaf {
		return 0, nil, fmt.Errorf("%w: inline bucket %q has flags %#x", disk.ErrCorrupt, e.Key, inline.flags)
	}
	return 0, inline, nil
}
