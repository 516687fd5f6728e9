package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/holdfast-dht/holdfast/storage"
)

const (
	// diskEvery is how often the free space of the disk is read. A write that fails is
	// noticed at once.
	diskEvery = 10 * time.Second
	// diskLeast is the free space, in bytes, below which the disk counts as full: a
	// commit writes up to a few MiB at once.
	diskLeast = 4 << 20
	// diskTry is how much must fit on the disk before it no longer counts as full, in
	// bytes. It is above diskLeast so that the state does not flap at the limit.
	diskTry = 2 * diskLeast
)

// diskOf is the part of a *storage.DB that a diskWatch uses.
type diskOf interface {
	DiskSpace() (storage.DiskSpace, error)
	TryWrite(size int) error
}

// diskWatch tracks whether the disk of the data directory is full, and logs each change.
// It is the storage.Observer of the database, and passes on every call. Safe for
// concurrent use.
type diskWatch struct {
	storage.Observer
	log    *slog.Logger
	failed chan struct{} // has one element after a write found no space
	since  atomic.Pointer[time.Time]
}

func newDiskWatch(next storage.Observer, log *slog.Logger) *diskWatch {
	return &diskWatch{Observer: next, log: log, failed: make(chan struct{}, 1)}
}

// StorageError implements storage.Observer.
func (w *diskWatch) StorageError(op string, err error) {
	w.Observer.StorageError(op, err)
	if errors.Is(err, storage.ErrDiskFull) {
		select {
		case w.failed <- struct{}{}:
		default:
		}
	}
}

// fullSince returns since when the disk has been full; zero: it is not.
func (w *diskWatch) fullSince() time.Time {
	if t := w.since.Load(); t != nil {
		return *t
	}
	return time.Time{}
}

func (w *diskWatch) full() bool { return w.since.Load() != nil }

// run watches until ctx ends. It begins to look after diskEvery: see Daemon.ready.
func (w *diskWatch) run(ctx context.Context, disk diskOf) {
	tick := time.NewTicker(diskEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			w.check(disk, false)
		case <-w.failed:
			w.check(disk, true)
		case <-ctx.Done():
			return
		}
	}
}

// check updates the state. refused means that a write has just found no space. A small
// write that has succeeded since does not prove that there is space, so check tries to
// allocate more.
func (w *diskWatch) check(disk diskOf, refused bool) {
	space, err := disk.DiskSpace()
	low := err == nil && space.Known() && space.Free < diskLeast
	switch {
	case !w.full() && (refused || low):
		now := time.Now()
		w.since.Store(&now)
		w.log.Warn("the disk is full: new records may be refused and publishing may fail until there is space; reads continue", spaceOf(space)...)
	case w.full() && !refused && !low && disk.TryWrite(diskTry) == nil:
		since := w.fullSince()
		w.since.Store(nil)
		w.log.Info("the disk has space again: records are accepted", append(spaceOf(space), "full_for", time.Since(since).Round(time.Second).String())...)
	}
}

func spaceOf(s storage.DiskSpace) []any { return []any{"free_bytes", s.Free, "disk_bytes", s.Total} }

func (d *Daemon) diskRemark() []string {
	if line := d.disk.remark(d.store); line != "" {
		return []string{line}
	}
	return nil
}

// remark returns a line that says that the disk is full, or "" if it is not.
func (w *diskWatch) remark(disk diskOf) string {
	since := w.fullSince()
	if since.IsZero() {
		return ""
	}
	s := fmt.Sprintf("disk full since %s: new records may be refused", since.UTC().Format(time.RFC3339))
	if space, err := disk.DiskSpace(); err == nil && space.Known() {
		s += fmt.Sprintf("; %s of %s free", humanize.IBytes(uint64(space.Free)), humanize.IBytes(uint64(space.Total)))
	}
	return s
}
