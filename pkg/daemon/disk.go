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
	// diskEvery is how often the free space of the disk is looked at. A write that
	// fails is noticed at once.
	diskEvery = 10 * time.Second
	// diskLeast is the free space, in bytes, below which the disk counts as full: a
	// commit writes up to a few MiB at once.
	diskLeast = 4 << 20
	// diskTry is how much the disk must take before it no longer counts as full, so that
	// one at the limit does not change between full and not full all the time.
	diskTry = 2 * diskLeast
)

// diskOf is what a diskWatch asks: a *storage.DB.
type diskOf interface {
	DiskSpace() (storage.DiskSpace, error)
	TryWrite(size int) error
}

// diskWatch knows whether the disk of the data directory is full, and says so in the
// log when that changes. It is the storage.Observer of the database, and passes on
// what it observes. Safe for concurrent use.
type diskWatch struct {
	storage.Observer
	log    *slog.Logger
	failed chan struct{} // has one element when a write found no space
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

// run watches until ctx ends.
func (w *diskWatch) run(ctx context.Context, disk diskOf) {
	tick := time.NewTicker(diskEvery)
	defer tick.Stop()
	for refused := false; ; {
		w.check(disk, refused)
		refused = false
		select {
		case <-tick.C:
		case <-w.failed:
			refused = true
		case <-ctx.Done():
			return
		}
	}
}

// check looks at the disk; refused: it has just refused a write. That a small write
// has succeeded since is no sign of recovery, so the disk is asked to take a larger one.
func (w *diskWatch) check(disk diskOf, refused bool) {
	space, err := disk.DiskSpace()
	low := err == nil && space.Known() && space.Free < diskLeast
	switch {
	case !w.full() && (refused || low):
		now := time.Now()
		w.since.Store(&now)
		w.log.Warn("the disk is full: new records are refused and nothing can be published until there is space; reads go on", spaceOf(space)...)
	case w.full() && !refused && !low && disk.TryWrite(diskTry) == nil:
		since := w.fullSince()
		w.since.Store(nil)
		w.log.Info("the disk has space again: records are taken as before", append(spaceOf(space), "full_for", time.Since(since).Round(time.Second).String())...)
	}
}

func spaceOf(s storage.DiskSpace) []any { return []any{"free_bytes", s.Free, "disk_bytes", s.Total} }

func (d *Daemon) diskRemark() string { return d.disk.remark(d.store) }

// remark says in a line what is wrong with a disk that is full; empty: nothing is.
func (w *diskWatch) remark(disk diskOf) string {
	since := w.fullSince()
	if since.IsZero() {
		return ""
	}
	s := fmt.Sprintf("disk full since %s: new records are refused", since.UTC().Format(time.RFC3339))
	if space, err := disk.DiskSpace(); err == nil && space.Known() {
		s += fmt.Sprintf("; %s of %s free", humanize.IBytes(uint64(space.Free)), humanize.IBytes(uint64(space.Total)))
	}
	return s
}
