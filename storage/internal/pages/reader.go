package pages

import (
	"os"

	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// Reader reads the rows of a damaged file as far as its trees can be followed. Owned by one
// goroutine.
type Reader struct {
	src        *pageFile
	seen       bitmap // pages visited; trees of a damaged file may have loops
	incomplete bool   // something could not be read
	stopped    bool   // nothing more is wanted

	name  string // of the file, in progress
	tell  func(disk.Progress)
	meter *disk.Meter // of the pages that the trees lead to
}

// NewReader returns a Reader of an open file. name is that of the file in progress, which
// tell is told; it may be nil. With disk.ErrCorrupt the Reader has no tree to follow, or the
// end of the file is missing; it can still search. With any other error it is nil.
func NewReader(f *os.File, name string, tell func(disk.Progress)) (*Reader, error) {
	src, err := openPageFile(f)
	if src == nil {
		return nil, err
	}
	r := &Reader{src: src, seen: newBitmap(src.pages), name: name, tell: tell}
	r.meter = r.begin("reading what is sound")
	return r, err
}

// Incomplete reports whether something could not be read.
func (r *Reader) Incomplete() bool { return r.incomplete }

// Stop ends a search that is under way, and all that come: nothing more is wanted.
func (r *Reader) Stop() { r.stopped = true }

// Stopped reports whether Stop was called.
func (r *Reader) Stopped() bool { return r.stopped }

// Skip ends the step of following the trees: nothing leads to the other pages.
func (r *Reader) Skip() { r.meter.Skip() }

// begin begins a step of which all pages of the file may be a part: which of them are
// free a damaged file does not tell.
func (r *Reader) begin(what string) *disk.Meter {
	step := "repairing " + r.name + ": " + what
	return disk.NewMeter(r.tell, disk.Progress{Step: step, Total: int64(r.src.pages) * r.src.pageSize, Bytes: true})
}

// each visits the rows below a page. Pages that cannot be read are left out and
// noted.
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

// Rows visits the rows of a bucket that can be read, and reports whether those were all.
// Without a bucket (nil) it visits none and returns false.
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

// Buckets returns the buckets of the file, and reports whether that is all of them.
func (r *Reader) Buckets() (top map[string]*Element, whole bool) {
	top = make(map[string]*Element)
	whole = r.each(r.src.root, 0, func(e *Element) {
		if e.flags&flagBucket != 0 {
			top[string(e.Key)] = e
		}
	})
	return top, whole
}

// Search visits the rows of every leaf page that can be read, until Stop. It also visits
// pages no longer in use: they hold old versions of rows, rows that were removed, and rows
// that only a lost page led to. what names, in progress, the rows that are looked for.
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

// scanPage visits the rows of a leaf and of the inline buckets in it.
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
