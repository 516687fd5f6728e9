package storage

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/holdfast-dht/holdfast/storage/internal/disk"
	"github.com/holdfast-dht/holdfast/storage/internal/pages"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// Backup writes a consistent copy of all files to w, as a tar archive, and returns its
// length. Writes continue meanwhile. The copy contains every write that was acknowledged
// before the call.
//
// While a backup runs, bbolt does not reuse pages that are freed. So that a slow w does not
// cause writes to be refused, the backup is cancelled (ErrBackupSlow) when it pins more of a
// file than the file can spare (see disk.Pins).
func (db *DB) Backup(w io.Writer) (n int64, err error) {
	r, pipe := io.Pipe()
	cut := func() { _ = pipe.CloseWithError(ErrBackupSlow) }
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := disk.Guard(func() error { return db.backup(tar.NewWriter(pipe), cut) })
		_ = pipe.CloseWithError(err) // has no effect after cut
	}()
	n, err = io.Copy(w, r)
	_ = r.Close()
	<-done
	if errors.Is(err, ErrBackupSlow) {
		db.log.Warn("storage: backup cancelled: it was read too slowly, and writes needed the pages that it held", "bytes", n)
		return n, err
	}
	if err != nil {
		return n, fmt.Errorf("backup: %w", err)
	}
	return n, nil
}

func (db *DB) backup(w *tar.Writer, cut func()) error {
	providers, err := db.providers.Snapshot(cut)
	if err != nil {
		return err
	}
	defer providers.Close()
	defer db.pins.Hold(cut)()
	tx, err := db.file.Bolt.Begin(false)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	add := func(name string, size int64, write func(io.Writer) error) error {
		head := tar.Header{Name: name, Mode: 0o600, Size: size, ModTime: time.Now(), Format: tar.FormatPAX}
		if err := w.WriteHeader(&head); err != nil {
			return err
		}
		return write(w)
	}
	if err := add(FileName, tx.Size(), func(w io.Writer) error { _, err := tx.WriteTo(w); return err }); err != nil {
		return err
	}
	if err := providers.Each(add); err != nil {
		return err
	}
	return w.Close()
}

// Restore checks the copies that Backup wrote and replaces the files in dir with them. It
// keeps the old files, if there are any, beside the new ones, and returns the name of the
// first. It refuses a directory in use (ErrLocked). progress receives the progress of the
// check; it may be nil.
func Restore(dir string, r io.Reader, progress func(Progress)) (old string, err error) {
	all, err := RestoreIf(dir, r, func(_, _ Origin) error { return nil }, progress)
	if len(all) > 0 {
		old = all[0]
	}
	return old, err
}

// RestoreIf is Restore, if accept returns nil for the origin of the backup and that of the
// files in dir. An origin is zero where it is not known. It returns the names of all old
// files.
func RestoreIf(dir string, r io.Reader, accept func(backup, present Origin) error, progress func(Progress)) (old []string, err error) {
	err = offline(dir, func() error {
		err := unpack(dir, r)
		if err == nil {
			err = checkStaged(dir, accept, progress)
		}
		if err == nil {
			err = closeStaged(dir)
		}
		if err != nil {
			return errors.Join(err, discardStaged(dir))
		}
		if old, err = adopt(dir, dbFiles, suffixReplaced); err != nil {
			return err
		}
		_ = dropCopies(dir, old) // ignored: the restore itself is complete
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	return old, nil
}

// unpack writes the files of a backup under their staged names.
func unpack(dir string, r io.Reader) error {
	missing := make(map[string]bool)
	for _, name := range dbFiles {
		missing[name] = true
	}
	for t := tar.NewReader(r); ; {
		head, err := t.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return cutShort(err)
		}
		if !missing[head.Name] || head.Typeflag != tar.TypeReg {
			return fmt.Errorf("%w: the backup has an unexpected file %q", ErrCorrupt, head.Name)
		}
		missing[head.Name] = false
		if err := writeFile(staged(dir, head.Name), t); err != nil {
			return cutShort(err)
		}
	}
	if _, err := io.Copy(io.Discard, r); err != nil { // a source that fails cannot be trusted
		return err
	}
	for name, absent := range missing {
		if absent {
			return fmt.Errorf("%w: the backup has no %s", ErrCorrupt, name)
		}
	}
	return nil
}

// cutShort adds ErrCorrupt to the errors that package tar returns for a file that is not an
// archive or is truncated.
func cutShort(err error) error {
	if errors.Is(err, tar.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: not a backup, or truncated: %w", ErrCorrupt, err)
	}
	return err
}

// checkStaged checks whether accept accepts the staged files, and then the whole files, which
// takes long.
func checkStaged(dir string, accept func(backup, present Origin) error, progress func(Progress)) error {
	if err := accept(originIn(staged(dir, FileName)), originIn(filepath.Join(dir, FileName))); err != nil {
		return err
	}
	o := Options{Options: runs.Options{ReadOnly: true, Progress: progress}, verifyPages: pages.All}
	db := newDB(dir, stagedSuffix, o.WithDefaults())
	if err := db.start(); err != nil {
		return errors.Join(err, db.file.Close(nil))
	}
	r, err := db.Check()
	if err == nil {
		err = db.settle(&r, db.path)
	}
	return errors.Join(err, db.Close())
}

// closeStaged opens and closes the checked staged files, which marks them as closed properly: a
// backup of a running daemon is complete, so the next start is a clean one.
func closeStaged(dir string) error {
	most := int64(DefaultMaxBytes)
	for _, name := range dbFiles {
		size, err := fileSize(staged(dir, name))
		if err != nil {
			return err
		}
		most = max(most, 16*size) // each file has at least an eighth, so no bound prevents the commit
	}
	o := Options{Options: runs.Options{MaxBytes: most}}
	db := newDB(dir, stagedSuffix, o.WithDefaults())
	if err := db.start(); err != nil {
		return errors.Join(err, db.file.Close(nil))
	}
	return db.Close()
}

// Compact rewrites the files in dir without their free pages, and returns their combined
// length before and after. It refuses a directory in use (ErrLocked). progress may be nil.
func Compact(dir string, progress func(Progress)) (before, after int64, err error) {
	err = offline(dir, func() error {
		err := compact(dir, progress, &before, &after)
		if err != nil {
			return errors.Join(err, discardStaged(dir))
		}
		_, err = adopt(dir, dbFiles, "")
		return err
	})
	if err != nil {
		return 0, 0, fmt.Errorf("compact: %w", err)
	}
	return before, after, nil
}

// Repair moves the files in dir aside and copies everything readable in them into new files,
// as Open does for files in which it finds damage.
func Repair(dir string, o Options) (*Quarantine, error) {
	if _, err := os.Stat(filepath.Join(dir, FileName)); err != nil {
		return nil, fmt.Errorf("repair: %w", err)
	}
	o.force = fmt.Errorf("%w: repair requested", ErrCorrupt)
	db, err := Open(dir, o)
	if err != nil {
		return nil, err
	}
	return db.quarantine, db.Close()
}

// RepairDamaged checks the files in dir in full and repairs those that are damaged, as Repair
// does. It leaves sound files in place, except that both provider files are replaced together.
// It returns nil if nothing is damaged.
func RepairDamaged(dir string, o Options) (*Quarantine, error) {
	if _, err := os.Stat(filepath.Join(dir, FileName)); err != nil {
		return nil, fmt.Errorf("repair: %w", err)
	}
	o.suspectAll = true
	db, err := Open(dir, o)
	if err != nil {
		return nil, err
	}
	return db.quarantine, db.Close()
}

// offline runs fn while no other process can open the files in dir. It first completes a
// replacement that a crash interrupted.
func offline(dir string, fn func() error) error {
	lock, err := lockDir(dir, false, DefaultLockTimeout)
	if err != nil {
		return err
	}
	defer lock.release()
	if err := disk.FirstErr(finishAdoption(dir), discardStaged(dir)); err != nil {
		return err
	}
	return fn()
}

func writeFile(path string, r io.Reader) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Sync(), f.Close())
}

func fileSize(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// removeMark removes the mark of suspected damage.
func removeMark(path string) error {
	if err := os.Remove(path + suspectSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
