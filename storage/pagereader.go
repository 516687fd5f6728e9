package storage

import "github.com/holdfast-dht/holdfast/storage/internal/disk"

// pageReader reads the rows of a damaged file as far as its trees can be followed.
type pageReader struct {
	src        *pageFile
	seen       bitmap // pages visited; trees of a damaged file may have loops
	incomplete bool   // something could not be read
	stopped    bool   // nothing more is wanted

	name  string // of the file, in progress
	tell  func(Progress)
	meter *disk.Meter // of the pages that the trees lead to
}

func newPageReader(name string, src *pageFile, tell func(Progress)) pageReader {
	r := pageReader{src: src, seen: newBitmap(src.pages), name: name, tell: tell}
	r.meter = r.begin("reading what is sound")
	return r
}

// begin begins a step of which all pages of the file may be a part: which of them are
// free a damaged file does not tell.
func (r *pageReader) begin(what string) *disk.Meter {
	step := "repairing " + r.name + ": " + what
	return disk.NewMeter(r.tell, Progress{Step: step, Total: int64(r.src.pages) * r.src.pageSize, Bytes: true})
}

// each visits the rows below a page. Pages that cannot be read are left out and
// noted.
func (r *pageReader) each(id uint64, depth int, fn func(e *element)) (whole bool) {
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

func (r *pageReader) eachOf(pg *page, depth int, fn func(e *element)) (whole bool) {
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

// eachIn visits the rows of a bucket. Nil: there is no such bucket.
func (r *pageReader) eachIn(bucket *element, fn func(e *element)) (whole bool) {
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

func (r *pageReader) topBuckets() (top map[string]*element, whole bool) {
	top = make(map[string]*element)
	whole = r.each(r.src.root, 0, func(e *element) {
		if e.flags&flagBucket != 0 {
			top[string(e.key)] = e
		}
	})
	return top, whole
}

// scan visits the rows of every leaf page of the file, also of pages no longer in
// use: old versions of rows, rows that were removed, and those that only a lost
// page led to.
//
// what names in progress the rows that are looked for.
func (r *pageReader) scan(what string, fn func(e *element)) {
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
func scanPage(pg *page, fn func(e *element)) {
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
