package pages

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// DefaultBudget is how many pages a start checks, 16 MiB: all of a small file, and in a large
// one the top of its trees, where damage is worst. Of the rest it reads only the branches,
// one page in a hundred. This takes milliseconds. Damage in a leaf is found when the leaf is
// read (see disk.Guard).
const DefaultBudget = 4096

// All is the budget for every page.
const All = math.MaxInt

// Verify checks the structure of a bbolt file from the root down. It returns disk.ErrCorrupt
// if bbolt must not open the file. After budget pages it reads only branches, because bbolt
// would follow a branch that points back up the tree forever, and no error would stop it. A
// file that is absent or empty is valid: bbolt will create it. used is the number of bytes in
// the used pages that Verify checked.
//
// If lock is set, Verify locks the file as bbolt does (ErrLocked): pages that another tool
// has half written are not damage.
//
// progress receives the progress of a check of every page; it may be nil.
func Verify(path string, budget int, lock bool, progress func(disk.Progress)) (used int64, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("open: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Size() == 0 {
		return 0, nil
	}
	if lock {
		if ok, err := disk.TryLock(f, true); err != nil {
			return 0, fmt.Errorf("lock %s: %w", path, err)
		} else if !ok {
			return 0, fmt.Errorf("%w: %s", disk.ErrLocked, path)
		}
	}
	return verifyFile(f, budget, progress)
}

func verifyFile(f *os.File, budget int, progress func(disk.Progress)) (used int64, err error) {
	p, err := openPageFile(f)
	if err != nil {
		return 0, err
	}
	v := newVerifier(p, budget)
	if p.freelist == noFreelist {
		// bbolt will walk the trees in a goroutine of its own, where a damaged page would end
		// the process.
		v.budget = All
	} else if err := v.readFreelist(); err != nil {
		return 0, err
	}
	if v.budget != All {
		err = v.walk()
	} else if err = readAhead(f, progress); err == nil {
		err = v.walkAll(filepath.Base(f.Name()), progress)
	}
	return v.used, err
}

// readAhead loads a file sequentially into the page cache, many times faster than walking its
// trees does.
func readAhead(f *os.File, progress func(disk.Progress)) error {
	info, err := f.Stat()
	if err == nil {
		m := disk.NewMeter(progress, disk.Progress{Step: "reading " + filepath.Base(f.Name()), Total: info.Size(), Bytes: true})
		_, err = io.CopyBuffer(m, onlyReader{io.NewSectionReader(f, 0, info.Size())}, make([]byte, 1<<20))
		m.End()
	}
	if err != nil {
		return fmt.Errorf("%w: %w", disk.ErrCorrupt, err)
	}
	return nil
}

// onlyReader hides all methods except Read, so that io.CopyBuffer uses the given buffer.
type onlyReader struct{ io.Reader }

// verifier walks the trees of a file. Without a budget it reads every page depth first, which
// needs little memory. With a budget it goes breadth first and skips the leaves beyond the
// budget.
type verifier struct {
	*pageFile
	budget int
	met    int // pages read
	seen   bitmap
	free   bitmap
	todo   []subtree
	buf    []byte      // the current page
	frees  uint64      // number of pages in the list of free pages
	used   int64       // bytes of the pages checked
	meter  *disk.Meter // counts the pages in use; nil: no progress reports
}

func newVerifier(p *pageFile, budget int) *verifier {
	return &verifier{pageFile: p, budget: budget, seen: newBitmap(p.pages), free: newBitmap(p.pages)}
}

// subtree is a page to check, and the range of keys allowed in it and below: at least from,
// and less than to. Nil: no bound.
type subtree struct {
	id       uint64
	from, to []byte
	level    int // 0 is the root
	tree     *tree
}

// tree is what a walk with a budget knows about one of the trees.
type tree struct {
	leaves  int  // level of the leaves, equal for all leaves of a tree
	buckets bool // its leaves contain buckets and are read whatever the budget
}

// holds reports whether sorted elements are within the allowed range of keys.
func (t *subtree) holds(elems []Element) bool {
	if len(elems) == 0 {
		return true
	}
	return bytes.Compare(elems[0].Key, t.from) >= 0 &&
		(t.to == nil || bytes.Compare(elems[len(elems)-1].Key, t.to) < 0)
}

// readFreelist checks the list of free pages, from which bbolt allocates.
func (v *verifier) readFreelist() error {
	pg, err := v.read(v.freelist)
	if err != nil {
		return fmt.Errorf("freelist: %w", err)
	}
	if pg.flags != flagFreelist {
		return fmt.Errorf("%w: freelist page has flags %#x", disk.ErrCorrupt, pg.flags)
	}
	ids, n := pg.data[pageHeader:], uint64(pg.count)
	if n == math.MaxUint16 { // the count did not fit in 16 bits and is the first entry instead
		n, ids = order.Uint64(ids), ids[8:]
	}
	if n > uint64(len(ids)/8) {
		return fmt.Errorf("%w: freelist of %d pages", disk.ErrCorrupt, n)
	}
	for i := range n {
		id := order.Uint64(ids[8*i:])
		if id < 2 || id >= v.pages || !v.free.set(id) {
			return fmt.Errorf("%w: freelist names page %d", disk.ErrCorrupt, id)
		}
	}
	v.frees = n
	return v.mark(pg)
}

// mark marks a page as in use. A page that is already in use is damage.
func (v *verifier) mark(pg *page) error {
	for id := pg.id; id <= pg.id+pg.overflow; id++ {
		if v.free.has(id) {
			return fmt.Errorf("%w: page %d is in use and free", disk.ErrCorrupt, id)
		}
		if !v.seen.set(id) {
			return fmt.Errorf("%w: page %d is in use twice", disk.ErrCorrupt, id)
		}
	}
	size := int64(pg.overflow+1) * v.pageSize
	v.used += size
	if v.meter != nil {
		v.meter.Add(size)
	}
	return nil
}

// walkAll walks every page and reports its progress. At the end it skips the pages that
// belong to neither a tree nor the list of free pages: without a list, these are all free
// pages.
func (v *verifier) walkAll(name string, progress func(disk.Progress)) error {
	used := v.pages - min(v.pages, 2+v.frees) // the first two are meta pages
	v.meter = disk.NewMeter(progress, disk.Progress{Step: "checking pages of " + name, Total: int64(used) * v.pageSize, Bytes: true})
	if err := v.walk(); err != nil {
		return err
	}
	v.meter.Skip()
	return nil
}

func (v *verifier) walk() error {
	if err := v.noteTree(v.root); err != nil {
		return err
	}
	for ; len(v.todo) > 0; v.met++ {
		t := v.next()
		pg, err := v.readInto(&v.buf, t.id)
		if err != nil {
			return err
		}
		if err := v.mark(pg); err != nil {
			return err
		}
		if err := v.descend(pg, t); err != nil {
			return err
		}
	}
	return nil
}

// next removes the next page to check from the list.
func (v *verifier) next() (t subtree) {
	if v.budget == All {
		t, v.todo = v.todo[len(v.todo)-1], v.todo[:len(v.todo)-1]
		return t
	}
	t, v.todo = v.todo[0], v.todo[1:]
	return t
}

// descend checks the elements of a page and queues the pages below it.
func (v *verifier) descend(pg *page, t subtree) error {
	elems, err := pg.elements()
	if err != nil {
		return err
	}
	if pg.flags == flagBranch && len(elems) == 0 {
		return fmt.Errorf("%w: branch page %d is empty", disk.ErrCorrupt, pg.id)
	}
	if !t.holds(elems) {
		return fmt.Errorf("%w: keys of page %d are out of place", disk.ErrCorrupt, pg.id)
	}
	if pg.flags == flagBranch {
		return v.noteChildren(elems, t)
	}
	for i := range elems {
		if elems[i].flags&flagBucket == 0 {
			continue
		}
		root, inline, err := elems[i].bucket()
		if err == nil && inline != nil {
			err = v.descend(inline, subtree{})
		}
		if err != nil {
			return err
		}
		if inline == nil {
			if err := v.noteTree(root); err != nil {
				return err
			}
		}
	}
	return nil
}

// noteTree queues the root of a tree. With a budget, it first follows the left edge of the
// tree to learn how deep the leaves are and what they contain.
func (v *verifier) noteTree(root uint64) error {
	t := new(tree)
	v.todo = append(v.todo, subtree{id: root, tree: t})
	if v.budget == All {
		return nil
	}
	var buf []byte
	for id := root; ; t.leaves++ {
		pg, err := v.readInto(&buf, id)
		if err != nil {
			return err
		}
		elems, err := pg.elements()
		if err != nil {
			return err
		}
		if pg.flags == flagLeaf {
			t.buckets = slices.ContainsFunc(elems, func(e Element) bool { return e.flags&flagBucket != 0 })
			return nil
		}
		if len(elems) == 0 || t.leaves == maxDepth {
			return fmt.Errorf("%w: branch page %d leads nowhere", disk.ErrCorrupt, pg.id)
		}
		id = elems[0].child
	}
}

// noteChildren queues the pages below a branch page. Leaves beyond the budget are only
// marked, not read. If such a child is in fact one of the branches, that page is in use
// twice, which mark reports.
func (v *verifier) noteChildren(elems []Element, t subtree) error {
	level := t.level + 1
	if level == t.tree.leaves && !t.tree.buckets && v.met+len(v.todo) >= v.budget {
		for i := range elems {
			id := elems[i].child
			if id < 2 || id >= v.pages {
				return fmt.Errorf("%w: page %d of %d", disk.ErrCorrupt, id, v.pages)
			}
			if err := v.mark(&page{id: id}); err != nil {
				return err
			}
		}
		return nil
	}
	froms := make([][]byte, len(elems), len(elems)+1) // the buffer of the page is reused
	for i := range elems {
		froms[i] = bytes.Clone(elems[i].Key)
	}
	froms = append(froms, t.to)
	for i := range elems {
		v.todo = append(v.todo, subtree{id: elems[i].child, from: froms[i], to: froms[i+1], level: level, tree: t.tree})
	}
	return nil
}

// bitmap is a set of page numbers below a bound.
type bitmap []uint64

func newBitmap(n uint64) bitmap { return make(bitmap, n/64+1) }

func (b bitmap) has(i uint64) bool { return i/64 < uint64(len(b)) && b[i/64]&(1<<(i%64)) != 0 }

// set adds i and reports whether it was absent.
func (b bitmap) set(i uint64) bool {
	if b.has(i) {
		return false
	}
	b[i/64] |= 1 << (i % 64)
	return true
}
