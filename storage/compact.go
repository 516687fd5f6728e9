package storage

import (
	"errors"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/storage/internal/disk"
	"github.com/holdfast-dht/holdfast/storage/internal/pages"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// compact writes compacted copies of all files under their staged names.
func compact(dir string, progress func(Progress), before, after *int64) error {
	for _, name := range dbFiles {
		path := filepath.Join(dir, name)
		used, err := pages.Verify(path, pages.All, true, progress)
		if err != nil {
			return lockedFile(path, err)
		}
		size, err := fileSize(path)
		if err != nil {
			return err
		}
		*before += size
		pageSize := runs.PageSize
		if name == FileName {
			pageSize = 0 // the machine's page size
		}
		if err := compactTo(staged(dir, name), path, pageSize, used, progress); err != nil {
			return err
		}
		if size, err = fileSize(staged(dir, name)); err != nil {
			return err
		}
		*after += size
	}
	return nil
}

// compactTx bounds a transaction of Compact in bytes.
const compactTx = 8 << 20

// compactTo writes a compacted copy of a file in which used bytes are in use.
func compactTo(dstPath, srcPath string, pageSize int, used int64, progress func(Progress)) error {
	src, err := bbolt.Open(srcPath, 0o600, &bbolt.Options{ReadOnly: true, Timeout: DefaultLockTimeout})
	if err != nil {
		return err
	}
	defer src.Close()
	// Nothing uses the copy before it is complete, so one fsync at the end is enough.
	o := &bbolt.Options{NoSync: true, FreelistType: bbolt.FreelistMapType, PageSize: pageSize}
	dst, err := bbolt.Open(dstPath, 0o600, o)
	if err != nil {
		return err
	}
	name := filepath.Base(srcPath)
	m := disk.NewMeter(progress, Progress{Step: "compacting " + name, Total: used, Bytes: true})
	if err = copyRows(dst, src, m); err == nil {
		m.Skip()
		disk.NewMeter(progress, Progress{Step: "syncing " + name + " to disk"})
		err = dst.Sync()
	}
	return errors.Join(err, dst.Close())
}

// measureEvery is how often Compact measures the length of the copy.
const measureEvery = 200 * time.Millisecond

// copyRows copies src into an empty file. bbolt.Compact does not report progress, so the
// length of the copy serves instead.
func copyRows(dst, src *bbolt.DB, m *disk.Meter) error {
	done := make(chan error, 1)
	go func() { done <- disk.Guard(func() error { return bbolt.Compact(dst, src, compactTx) }) }()
	look := time.NewTicker(measureEvery)
	defer look.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-look.C:
			if size, err := fileSize(dst.Path()); err == nil {
				m.Reach(size)
			}
		}
	}
}
