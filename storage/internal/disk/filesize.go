package disk

import "go.etcd.io/bbolt"

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

// measure notes the file's sizes as of the last commit.
func (f *File) measure() {
	st := f.Bolt.Stats()
	f.free.Store(int64(st.FreePageN) * f.page)
	f.pending.Store(int64(st.PendingPageN) * f.page)
	if info, err := f.os.Stat(); err == nil {
		f.size.Store(info.Size())
	}
	_ = f.View(func(tx *bbolt.Tx) error { f.high.Store(tx.Size()); return nil })
}

// MaxBytes returns how long the file may become.
func (f *File) MaxBytes() int64 { return f.o.MaxBytes }

// Size returns the length of the file.
func (f *File) Size() int64 { return f.size.Load() }

// Used returns the bytes of the pages in use, or pinned by a backup.
func (f *File) Used() int64 { return f.high.Load() - f.Unused() }

// Unused returns the bytes of the pages that will be used again before the file grows.
func (f *File) Unused() int64 { return f.free.Load() + f.pending.Load() - f.pinned() }

// pinned returns the bytes of the pages that backups keep from being used again.
func (f *File) pinned() int64 {
	if !f.o.Pins.Held() {
		return 0
	}
	return f.pending.Load()
}

// Left returns how many bytes more can be used.
func (f *File) Left() int64 { return f.o.MaxBytes - f.o.MaxGrowth - f.Used() }

// Room returns the room for new records.
func (f *File) Room() Room {
	return Room{Used: f.Used(), Free: f.Unused(), Limit: RecordsLimit(f.o.MaxBytes, f.o.MaxGrowth)}
}

// limitBackups gives up the backups if they hold more than they may, or if a commit has
// just failed for lack of room.
func (f *File) limitBackups(failed bool) {
	if pinned := f.pinned(); pinned > 0 && (failed || pinned > MayPin(f.Left()+pinned, Reserve(f.o.MaxBytes))) {
		f.o.Pins.Cut()
	}
}
