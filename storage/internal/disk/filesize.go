package disk

import (
	"runtime"

	"go.etcd.io/bbolt"
)

// maxReserve bounds Reserve: above it, an eighth of a file is more than maintenance ever
// needs.
const maxReserve = 256 << 20

// Reserve returns the part of a file of at most maxBytes that new records must leave free for
// republishing and maintenance.
func Reserve(maxBytes int64) int64 { return min(maxBytes/8, maxReserve) }

// RecordsLimit returns how many bytes of a file may be in use before new records are refused:
// maxBytes less the reserve, and less one growth step, because bbolt does not grow a file
// past maxBytes.
func RecordsLimit(maxBytes, growth int64) int64 { return maxBytes - growth - Reserve(maxBytes) }

// step returns the size of the next growth step in bytes.
func (f *File) step() int {
	return int(min(max(f.high.Load()/8, f.o.MinGrowth), f.o.MaxGrowth))
}

// measure records the sizes of the file after a commit. bbolt extends the file only when a
// commit ends in its last page, except on Windows, where the file is as long as its mapping.
// Most commits therefore do not ask the file system for the length.
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

// MaxBytes returns the maximum length of the file.
func (f *File) MaxBytes() int64 { return f.o.MaxBytes }

// Size returns the length of the file.
func (f *File) Size() int64 { return f.size.Load() }

// sizes splits the pages that were ever used, in bytes. used are the pages in use or pinned
// by a backup, unused are those that bbolt reuses before the file grows, and pinned is the
// part of used that only backups hold.
func (f *File) sizes() (used, unused, pinned int64) {
	unused, pending := f.free.Load(), f.pending.Load()
	if f.o.Pins.Held() {
		pinned = pending
	} else {
		unused += pending
	}
	return f.high.Load() - unused, unused, pinned
}

// Used returns the bytes of the pages in use or pinned by a backup.
func (f *File) Used() int64 {
	used, _, _ := f.sizes()
	return used
}

// Unused returns the bytes of the pages that bbolt reuses before the file grows.
func (f *File) Unused() int64 {
	_, unused, _ := f.sizes()
	return unused
}

// Left returns how many more bytes can be used.
func (f *File) Left() int64 { return f.left(f.Used()) }

func (f *File) left(used int64) int64 { return f.o.MaxBytes - f.o.MaxGrowth - used }

// Capacity returns the space for new records.
func (f *File) Capacity() Capacity {
	used, unused, _ := f.sizes()
	return Capacity{Used: used, Free: unused, Limit: RecordsLimit(f.o.MaxBytes, f.o.MaxGrowth)}
}

// limitBackups ends the backups if they pin more than they may, or if a commit has just
// failed because the disk is full.
func (f *File) limitBackups(failed bool) {
	used, _, pinned := f.sizes()
	if pinned > 0 && (failed || pinned > mayPin(f.left(used)+pinned, Reserve(f.o.MaxBytes))) {
		f.o.Pins.Cut()
	}
}
