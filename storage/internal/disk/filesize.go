package disk

import (
	"runtime"

	"go.etcd.io/bbolt"
)

// maxReserve bounds Reserve where an eighth of a file is more than upkeep ever needs.
const maxReserve = 256 << 20

// Reserve is the part of a file of at most so many bytes that new records leave to
// renewals and upkeep.
func Reserve(maxBytes int64) int64 { return min(maxBytes/8, maxReserve) }

// RecordsLimit is how many bytes of a file may be in use before new records are refused:
// less than maxBytes by the reserve and by the step in which bbolt grows the file, which
// it does not take beyond maxBytes.
func RecordsLimit(maxBytes, growth int64) int64 { return maxBytes - growth - Reserve(maxBytes) }

// step returns by how much the file grows next.
func (f *File) step() int {
	return int(min(max(f.high.Load()/8, f.o.MinGrowth), f.o.MaxGrowth))
}

// measure records the sizes of the file after a commit. bbolt makes the file longer only
// when a commit ends in its last page, except on Windows, where the file is as long as its
// mapping. So most commits do not ask the file system for the length.
func (f *File) measure(failed bool) {
	st := f.Bolt.Stats()
	f.free.Store(int64(st.FreePageN) * f.page)
	f.pending.Store(int64(st.PendingPageN) * f.page)
	_ = f.View(f.measureHigh)
	if !failed && f.high.Load()+f.page <= f.size.Load() && runtime.GOOS != "windows" {
		return
	}
	if info, err := f.os.Stat(); err == nil {
		f.size.Store(info.Size())
	}
}

func (f *File) measureHigh(tx *bbolt.Tx) error {
	f.high.Store(tx.Size())
	return nil
}

// MaxBytes returns how long the file may become.
func (f *File) MaxBytes() int64 { return f.o.MaxBytes }

// Size returns the length of the file.
func (f *File) Size() int64 { return f.size.Load() }

// sizes divides the pages that were ever used, in bytes: those in use or pinned by a backup,
// those that will be used again before the file grows, and, of the first, those that only
// backups keep from being used again.
func (f *File) sizes() (used, unused, pinned int64) {
	unused, pending := f.free.Load(), f.pending.Load()
	if f.o.Pins.Held() {
		pinned = pending
	} else {
		unused += pending
	}
	return f.high.Load() - unused, unused, pinned
}

// Used returns the bytes of the pages in use, or pinned by a backup.
func (f *File) Used() int64 {
	used, _, _ := f.sizes()
	return used
}

// Unused returns the bytes of the pages that will be used again before the file grows.
func (f *File) Unused() int64 {
	_, unused, _ := f.sizes()
	return unused
}

// Left returns how many more bytes can be used.
func (f *File) Left() int64 { return f.left(f.Used()) }

func (f *File) left(used int64) int64 { return f.o.MaxBytes - f.o.MaxGrowth - used }

// Room returns the room for new records.
func (f *File) Room() Room {
	used, unused, _ := f.sizes()
	return Room{Used: used, Free: unused, Limit: RecordsLimit(f.o.MaxBytes, f.o.MaxGrowth)}
}

// limitBackups gives up the backups if they hold more than they may, or if a commit has
// just failed because the disk is full.
func (f *File) limitBackups(failed bool) {
	used, _, pinned := f.sizes()
	if pinned > 0 && (failed || pinned > MayPin(f.left(used)+pinned, Reserve(f.o.MaxBytes))) {
		f.o.Pins.Cut()
	}
}
