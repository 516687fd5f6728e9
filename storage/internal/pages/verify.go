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

// DefaultBudget is how many pages a start looks at, 16 MiB: all of a small file, and in a
// large one its top, where damage would be worst. Of the rest it reads the branches, one
// page in a hundred. That takes milliseconds; what is wrong in a leaf is caught when it is
// read, see disk.Guard.
const DefaultBudget = 4096

// All is the budget for every page.
const All = math.MaxInt

// Verify checks the structure of a bbolt file from the root down, and returns disk.ErrCorrupt
// if bbolt must not open it. After budget pages it reads only branches: bbolt would follow
// one that points back up the tree for ever, and no error could stop it. A file that is
// absent or empty is in order: it will be created. used are the bytes of the pages in use
// that it has checked.
//
// With lock, the file is locked meanwhile as bbolt locks it (ErrLocked): some other tool's
// half-written pages are no damage.
//
// tell is told the progress of a check of every page; it may be nil.
func Verify(path string, budget int, lock bool, tell func(disk.Progress)) (used int64, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("storage: open: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Size() == 0 {
		return 0, nil
	}
	if lock {
		if ok, err := disk.TryLock(f, true); err != nil {
			return 0, fmt.Errorf("storage: lock %s: %w", path, err)
		} else if !ok {
			return 0, fmt.Errorf("%w: %s", disk.ErrLocked, path)
		}
	}
	return verifyFile(f, budget, tell)
}

func verifyFile(f *os.File, budget int, tell func(disk.Progress)) (used int64, err error) {
	p, err := openPageFile(f)
	if err != nil {
		return 0, err
	}
	v := newVerifier(p, budget)
	if p.freelist == noFreelist {
		// bbolt is going to walk the trees in a goroutine of its own, where a page
		// that lies would end the process.
		v.budget = All
	} else if err := v.readFreelist(); err != nil {
		return 0, err
	}
	if v.budget != All {
		err = v.walk()
	} else if err = readAhead(f, tell); err == nil {
		err = v.walkAll(filepath.Base(f.Name()), tell)
	}
	return v.used, err
}

// readAhead brings a file into the page cache in its order, many times faster than
// a walk does in that of the trees.
func readAhead(f *os.File, tell func(disk.Progress)) error {
	info, err := f.Stat()
	if err == nil {
		m := disk.NewMeter(tell, disk.Progress{Step: "reading " + filepath.Base(f.Name()), Total: info.Size(), Bytes: true})
		_, err = io.CopyBuffer(m, onlyReader{io.NewSectionReader(f, 0, info.Size())}, make([]byte, 1<<20))
		m.End()
	}
	if err != nil {
		return fmt.Errorf("%w: %w", disk.ErrCorrupt, err)
	}
	return nil
}

// onlyReader hides what else a reader can do, so that the given buffer is used.
type onlyReader struct{ io.Reader }

// verifier walks the trees of a file: every page depth first, which needs little
// memory, or with a budget breadth first, and then without the leaves.
type verifier struct {
	*pageFile
	budget int
	met    int // pages read
	seen   bitmap
	free   bitmap
	todo   []subtree
	buf    []byte      // of the page at hand
	frees  uint64      // pages of the list of free pages
	used   int64       // bytes of the pages met
	meter  *disk.Meter // counts the pages in use; nil: nobody asks
}

func newVerifier(p *pageFile, budget int) *verifier {
	return &verifier{pageFile: p, budget: budget, seen: newBitmap(p.pages), free: newBitmap(p.pages)}
}

// subtree is a page to look at, and where the keys in it and below must lie: from
// the first on and before the second. Nil: anywhere.
type subtree struct {
	id       uint64
	from, to []byte
	level    int // 0: the root
	tree     *tree
}

// tree is what a walk with a budget knows of one of the trees.
type tree struct {
	leaves  int  // their level: all of a tree's leaves are as deep
	buckets bool // its leaves hold buckets, and are read whatever the budget
}

// holds reports whether sorted elements are where they must be.
func (t *subtree) holds(elems []Element) bool {
	if len(elems) == 0 {
		return true
	}
	return bytes.Compare(elems[0].Key, t.from) >= 0 &&
		(t.to == nil || bytes.Compare(elems[len(elems)-1].Key, t.to) < 0)
}

// readFreelist checks the list of free pages, from which bbolt will allocate.
func (v *verifier) readFreelist() error {
	pg, err := v.read(v.freelist)
	if err != nil {
		return fmt.Errorf("freelist: %w", err)
	}
	if pg.flags != flagFreelist {
		return fmt.Errorf("%w: freelist page has flags %#x", disk.ErrCorrupt, pg.flags)
	}
	ids, n := pg.data[pageHeader:], uint64(pg.count)
	if n == math.MaxUint16 { // the count did not fit and stands first
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

// mark notes that a page is in use; it can be so only once.
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

// walkAll is walk of every page, and tells how far it is. Pages that neither a tree nor
// the list of free pages has are skipped in the end: all free ones, if there is no list.
func (v *verifier) walkAll(name string, tell func(disk.Progress)) error {
	used := v.pages - min(v.pages, 2+v.frees) // the first two are meta pages
	v.meter = disk.NewMeter(tell, disk.Progress{Step: "checking pages of " + name, Total: int64(used) * v.pageSize, Bytes: true})
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

// next takes what is to be looked at now.
func (v *verifier) next() (t subtree) {
	if v.budget == All {
		t, v.todo = v.todo[len(v.todo)-1], v.todo[:len(v.todo)-1]
		return t
	}
	t, v.todo = v.todo[0], v.todo[1:]
	return t
}

// descend checks the elements of a page and notes the pages below.
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

// noteTree notes the root of a tree. With a budget it goes down the tree's left edge
// first, to learn how deep its leaves are and what they hold.
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

// noteChildren notes the pages below a branch page. Leaves beyond the budget are only
// marked, not read. If such a child is one of the branches instead, that page is in use
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
	froms := make([][]byte, len(elems), len(elems)+1) // the page's buffer is used again
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

// set adds i and reports whether it was not yet there.
func (b bitmap) set(i uint64) bool {
	if b.has(i) {
		return false
	}
	b[i/64] |= 1 << (i % 64)
	return true
}
