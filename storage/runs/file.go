package runs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// PageSize is that of the files whatever the machine's, so that blocks fill pages.
const PageSize = 4096

// file is one bbolt file. Anybody may read; update is for the goroutine that owns
// the contents.
//
// The list of free pages is written at a clean close only. Written with every
// commit it would cost up to a megabyte each and, because it needs many pages in
// a row, let the file grow for ever. Without it the next open looks at every page,
// see Options.Verify.
type file struct {
	path   string
	bolt   *bbolt.DB
	os     *os.File // as bbolt opened it
	commit func(*bbolt.Tx) error
	stuck  atomic.Bool // bbolt has kept its locks in a panic
	listed bool        // the list of free pages is on disk
	most   int64       // length that the file may reach
	growth int64       // the longest step in which it grows
	pins   *disk.Pins  // backups of the store

	// As of the last commit, in bytes.
	size atomic.Int64 // length of the file
	high atomic.Int64 // end of the pages that were ever used
	free atomic.Int64 // pages below it that are not in use
	// Pages below it that the last commits have freed. The next one uses them again,
	// unless a backup reads what was in them.
	pending atomic.Int64
}

// openFile opens a file, which is made unless o says read-only, and may grow to
// most bytes in steps of growth.
func openFile(path string, o *Options, pins *disk.Pins, most, growth int64) (_ *file, err error) {
	f := &file{path: path, commit: (*bbolt.Tx).Commit, most: most, pins: pins}
	defer func() {
		if err != nil && f.os != nil { // bbolt may have panicked half-way
			_ = disk.Unlock(f.os)
			_ = f.os.Close()
		}
	}()
	if err := o.Verify(path, false); err != nil {
		return nil, err
	}
	bo := &bbolt.Options{
		Timeout:         o.LockTimeout,
		ReadOnly:        o.ReadOnly,
		NoFreelistSync:  true,
		FreelistType:    bbolt.FreelistMapType,
		PageSize:        PageSize,
		NoSync:          o.NoSync,
		MaxSize:         int(min(most, math.MaxInt)),
		InitialMmapSize: disk.MapSize(most),
		OpenFile: func(path string, flag int, mode os.FileMode) (*os.File, error) {
			var err error
			f.os, err = o.OpenFile(path, flag, mode)
			return f.os, err
		},
	}
	if bo.Timeout < 0 {
		bo.Timeout = time.Millisecond // bbolt waits for ever at zero
	}
	open := func() (err error) {
		f.bolt, err = bbolt.Open(path, 0o600, bo)
		return err
	}
	if err = disk.Guard(open); errors.Is(err, syscall.ENOMEM) {
		bo.InitialMmapSize = 0 // no such address space here
		err = disk.Guard(open)
	}
	if err != nil {
		return nil, openError(path, err)
	}
	f.growth = min(max(most/64, minGrowth), growth)
	f.measure()
	f.bolt.AllocSize = f.step()
	return f, nil
}

// The steps in which the files grow, with an fsync each: an eighth of what they
// are, but within these bounds.
const (
	minGrowth  = 256 << 10
	logGrowth  = 4 << 20
	runsGrowth = 16 << 20
)

func (f *file) step() int { return int(min(max(f.high.Load()/8, minGrowth), f.growth)) }

// openError names an error of bbolt.Open.
func openError(path string, err error) error {
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return fmt.Errorf("%w: %s", ErrLocked, path)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return fmt.Errorf("%w: %s: %w", ErrCorrupt, path, err)
	}
	return fmt.Errorf("storage: open %s: %w", path, err)
}

// readThrough reads a file from its beginning to its end, which brings it into
// the page cache twenty times faster than bbolt's walk would.
func readThrough(path string, _ bool) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("storage: open: %w", err)
	}
	defer f.Close()
	buf := make([]byte, 4<<20)
	for {
		if _, err := f.Read(buf); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("storage: read %s: %w", path, err)
		}
	}
}

// update runs fn in a write transaction and commits it. An error of fn undoes the
// transaction and is returned as it is; one of the commit is ErrFull or ErrFailed.
func (f *file) update(fn func(*bbolt.Tx) error) error {
	tx, err := f.begin()
	if err != nil {
		return err
	}
	if err := disk.Guard(func() error { return fn(tx) }); err != nil {
		return errors.Join(err, f.rollback(tx))
	}
	return f.finish(tx)
}

func (f *file) begin() (tx *bbolt.Tx, err error) {
	if err := disk.Guard(func() (err error) { tx, err = f.bolt.Begin(true); return err }); err != nil {
		f.got(err)
		return nil, fmt.Errorf("%w: begin: %w", ErrFailed, err)
	}
	return tx, nil
}

// rollback undoes a transaction whose changes are in memory only.
func (f *file) rollback(tx *bbolt.Tx) error {
	if err := disk.Guard(tx.Rollback); err != nil {
		f.got(err)
		return fmt.Errorf("%w: rollback: %w", ErrFailed, err)
	}
	return nil
}

// got takes note of a panic in bbolt.
func (f *file) got(err error) {
	if errors.Is(err, ErrCorrupt) {
		f.stuck.Store(true)
	}
}

// finish commits. After ErrFailed nothing is known of what the file holds.
func (f *file) finish(tx *bbolt.Tx) error {
	f.listed = false
	err := disk.Guard(func() error { return f.commit(tx) })
	f.measure()
	f.bolt.AllocSize = f.step()
	noRoom := err != nil && disk.NoRoom(err)
	f.limitBackups(noRoom)
	switch {
	case err == nil:
		return nil
	case noRoom:
		return disk.Full(err)
	}
	f.got(err)
	return fmt.Errorf("%w: %w", ErrFailed, err)
}

// view runs fn in a read transaction. fn calls nothing of the user's, so that all
// panics are the file's.
func (f *file) view(fn func(*bbolt.Tx) error) error {
	err := disk.Guard(func() error { return f.bolt.View(fn) })
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return records.ErrClosed
	}
	return err
}

// measure notes the file's sizes as of the last commit.
func (f *file) measure() {
	st := f.bolt.Stats()
	f.free.Store(int64(st.FreePageN) * PageSize)
	f.pending.Store(int64(st.PendingPageN) * PageSize)
	if info, err := f.os.Stat(); err == nil {
		f.size.Store(info.Size())
	}
	_ = f.view(func(tx *bbolt.Tx) error { f.high.Store(tx.Size()); return nil })
}

// pinned returns the bytes of the pages that backups keep from being used again.
func (f *file) pinned() int64 {
	if !f.pins.Held() {
		return 0
	}
	return f.pending.Load()
}

// unused returns the bytes of the pages that will be used again before the file grows.
func (f *file) unused() int64 { return f.free.Load() + f.pending.Load() - f.pinned() }

// used returns the bytes of the pages in use, or pinned.
func (f *file) used() int64 { return f.high.Load() - f.unused() }

// limitBackups gives up the backups if they hold more than they may, or if a commit has
// just failed for lack of room.
func (f *file) limitBackups(failed bool) {
	if pinned := f.pinned(); pinned > 0 && (failed || pinned > disk.MayPin(f.room()+pinned, f.reserve())) {
		f.pins.Cut()
	}
}

// room returns how many bytes more can be used.
func (f *file) room() int64 { return f.most - f.growth - f.used() }

// newRoom is the room for new records.
func (f *file) newRoom() disk.Room {
	return disk.Room{Used: f.used(), Free: f.unused(), Limit: f.most - f.growth - f.reserve()}
}

// spare is the room that is kept for transactions which make room: if they could
// not commit, a full file would stay full.
func (f *file) spare() int64 { return f.most / 32 }

// fits returns ErrFull if a transaction that needs so many bytes should not be
// tried. One that fails makes bbolt walk the whole file.
func (f *file) fits(bytes int64) error {
	if room := f.room(); bytes > room-f.spare() {
		return fmt.Errorf("%w: %s has room for %d of %d bytes", ErrFull, f.path, room, bytes)
	}
	return nil
}

// close lets go of the file. With last, it first commits last's changes with the
// list of free pages, so that the next open is quick. A bbolt that panicked with
// its locks held would wait for itself; then only the descriptor is closed.
func (f *file) close(last func(*bbolt.Tx) error) error {
	if f == nil || f.bolt == nil {
		return nil
	}
	var err error
	if last != nil && !f.listed && !f.stuck.Load() {
		f.bolt.NoFreelistSync = false
		err = f.update(last)
	}
	if f.stuck.Load() {
		return errors.Join(err, disk.Unlock(f.os), f.os.Close())
	}
	return errors.Join(err, disk.Guard(f.bolt.Close))
}
