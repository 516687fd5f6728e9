package pages

import (
	"os"

	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// Reader reads the rows of a damaged file as far as its trees can be followed. One goroutine
// owns it.
type Reader struct {
	src        *pageFile
	seen       bitmap // visited pages; the trees of a damaged file may have loops
	incomplete bool   // something could not be read
	stopped    bool   // the caller needs nothing more

	name     string // of the file, for progress
	progress func(disk.Progress)
	meter    *disk.Meter // progress of following the trees
}

// NewReader returns a Reader of an open file. It reports progress to progress, which may be nil,
// with name as the name of the file. If the error is disk.ErrCorrupt, the Reader has no tree
// to follow or the end of the file is missing, but it can still search. With any other error
// the Reader is nil.
func NewReader(f *os.File, name string, progress func(disk.Progress)) (*Reader, error) {
	src, err := openPageFile(f)
	if src == nil {
		return nil, err
	}
	r := &Reader{src: src, seen: newBitmap(src.pages), name: name, progress: progress}
	r.meter = r.begin("reading what is sound")
	return r, err
}

// Incomplete reports whether something could not be read.
func (r *Reader) Incomplete() bool { return r.incomplete }

// Stop ends a running search and all later ones: the caller needs nothing more.
func (r *Reader) Stop() { r.stopped = true }

// Stopped reports whether Stop was called.
func (r *Reader) Stopped() bool { return r.stopped }

// Skip ends the step that follows the trees. The remaining pages are not part of any tree.
func (r *Reader) Skip() { r.meter.Skip() }

// begin starts a step that may read every page of the file: a damaged file does not say which
// of them are free.
func (r *Reader) begin(what string) *disk.Meter {
	step := "repairing " + r.name + ": " + what
	return disk.NewMeter(r.progress, disk.Progress{Step: step, Total: int64(r.src.pages) * r.src.pageSize, Bytes: true})
}

// each visits the rows below a page. It skips pages that it cannot read and marks the Reader
// incomplete.
func (r *Reader) each(id uint64, depth int, fn func(e *Element)) (whole bool) {
	if id >= r.src.pages || depth > maxDepth || !r.seen.set(id) {
		r.incomplete = true
		return false
	}
	pg, err := r.src.read(id)
	if err != nil {
		r.incomplete = true
		return false
	}
	r.meter.Add(int64(pg.overflow+1) * r.src.pageSize)
	return r.eachOf(pg, depth, fn)
}

func (r *Reader) eachOf(pg *page, depth int, fn func(e *Element)) (whole bool) {
	elems, err := pg.elements()
	if whole = err == nil; !whole {
		r.incomplete = true
	}
	for i := range elems {
		if pg.flags == flagBranch {
			whole = r.each(elems[i].child, depth+1, fn) && whole
		} else {
			fn(&elems[i])
		}
	}
	return whole
}

// Rows visits the readable rows of a bucket and reports whether it could read all of them.
// If bucket is nil, it visits none and returns false.
func (r *Reader) Rows(bucket *Element, fn func(e *Element)) (whole bool) {
	if bucket == nil {
		return false
	}
	root, inline, err := bucket.bucket()
	switch {
	case err != nil:
		r.incomplete = true
		return false
	case inline != nil:
		return r.eachOf(inline, 0, fn)
	}
	return r.each(root, 0, fn)
}

// Buckets returns the buckets of the file and reports whether it could read all of them.
func (r *Reader) Buckets() (top map[string]*Element, whole bool) {
	top = make(map[string]*Element)
	whole = r.each(r.src.root, 0, func(e *Element) {
		if e.flags&flagBucket != 0 {
			top[string(e.Key)] = e
		}
	})
	return top, whole
}

// Search visits the rows of every readable leaf page in the file, until Stop. This includes
// pages that are no longer in use: they contain old versions of rows, removed rows, and rows
// to which only a lost page led. what names the rows in progress reports.
func (r *Reader) Search(what string, fn func(e *Element)) {
	m := r.begin("searching all pages for lost " + what)
	defer m.Skip()
	for id := uint64(2); id < r.src.pages && !r.stopped; id++ {
		m.Add(r.src.pageSize)
		if pg, err := r.src.read(id); err == nil && pg.flags == flagLeaf {
			scanPage(pg, fn)
		}
	}
}

// scanPage visits the rows of a leaf and of its inline buckets.
func scanPage(pg *page, fn func(e *Element)) {
	elems, _ := pg.elements()
	for i := range elems {
		e := &elems[i]
		if e.flags&flagBucket == 0 {
			fn(e)
		} else if _, inline, err := e.bucket(); err == nil && inline != nil {
			scanPage(inline, fn)
		}
	}
}
