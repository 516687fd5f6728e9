package storage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

// compactTx bounds a transaction of Compact in bytes.
const compactTx = 8 << 20

// Backup writes a consistent copy of the file to w while writes go on, and returns
// its length. Pages freed meanwhile are not used again before it ends.
func (db *DB) Backup(w io.Writer) (n int64, err error) {
	out := errWriter{w: w}
	err = guard(func() error {
		tx, err := db.bolt.Begin(false)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		n, err = tx.WriteTo(&out)
		return firstErr(out.err, err)
	})
	if err != nil {
		return n, fmt.Errorf("storage: backup: %w", err)
	}
	return n, nil
}

// errWriter keeps the error of w, of which bbolt passes on only the text.
type errWriter struct {
	w   io.Writer
	err error
}

func (e *errWriter) Write(b []byte) (int, error) {
	n, err := e.w.Write(b)
	e.err = firstErr(e.err, err)
	return n, err
}

// Restore puts the copy that Backup wrote in the place of the file in dir, after
// checking it. The old file, if there is one, is kept beside it under the name
// returned. It refuses a directory in use (ErrLocked).
func Restore(dir string, r io.Reader) (old string, err error) {
	err = offline(dir, func(path string) error {
		temp := path + ".restore"
		defer os.Remove(temp)
		if err := writeFile(temp, r); err != nil {
			return err
		}
		if err := checkCopy(temp); err != nil {
			return err
		}
		if _, err := os.Stat(path); err == nil {
			old = freeName(path + ".replaced")
			if err := os.Rename(path, old); err != nil {
				return err
			}
		}
		if err := os.Rename(temp, path); err != nil {
			return err
		}
		return errors.Join(removeMark(path), syncDir(dir))
	})
	if err != nil {
		return "", fmt.Errorf("storage: restore: %w", err)
	}
	return old, nil
}

// Compact rewrites the file in dir without its free pages. It refuses a directory
// in use. It returns the lengths before and after.
func Compact(dir string) (before, after int64, err error) {
	err = offline(dir, func(path string) error {
		temp := path + ".compact"
		defer os.Remove(temp)
		if err := verifyFile(path, wholeFile, true); err != nil {
			return err
		}
		if before, err = fileSize(path); err != nil {
			return err
		}
		if err := guard(func() error { return compactTo(temp, path) }); err != nil {
			return err
		}
		if after, err = fileSize(temp); err != nil {
			return err
		}
		return errors.Join(os.Rename(temp, path), syncDir(dir))
	})
	if err != nil {
		return 0, 0, fmt.Errorf("storage: compact: %w", err)
	}
	return before, after, nil
}

// Repair moves the file in dir aside and fills a new one with what can be read of
// it, as Open does by itself with a file whose damage it notices.
func Repair(dir string, o Options) (*Quarantine, error) {
	path := filepath.Join(dir, FileName)
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("storage: repair: %w", err)
	}
	o.force = fmt.Errorf("%w: repair was asked for", ErrCorrupt)
	db, err := Open(dir, o)
	if err != nil {
		return nil, err
	}
	return db.quarantine, db.Close()
}

// offline runs fn with the path of dir's file while nobody else can open it.
func offline(dir string, fn func(path string) error) error {
	lock, err := lockDir(dir, false, DefaultLockTimeout)
	if err != nil {
		return err
	}
	defer lock.release()
	return fn(filepath.Join(dir, FileName))
}

func compactTo(dstPath, srcPath string) error {
	if err := os.Remove(dstPath); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	src, err := bbolt.Open(srcPath, 0o600, &bbolt.Options{ReadOnly: true, Timeout: DefaultLockTimeout})
	if err != nil {
		return err
	}
	defer src.Close()
	// Nothing relies on the copy before it is complete: one fsync at its end.
	dst, err := bbolt.Open(dstPath, 0o600, &bbolt.Options{NoSync: true, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return err
	}
	err = bbolt.Compact(dst, src, compactTx)
	return errors.Join(err, dst.Sync(), dst.Close())
}

// checkCopy checks a file that is not yet in place.
func checkCopy(path string) error {
	if size, err := fileSize(path); err != nil || size == 0 {
		return errors.Join(err, fmt.Errorf("%w: the copy is empty", ErrCorrupt))
	}
	db := &DB{opts: Options{ReadOnly: true}.withDefaults(), path: path, queue: newQueue(), providers: epochStore{}}
	db.log = db.opts.Logger
	if err := verifyFile(path, wholeFile, true); err != nil {
		return err
	}
	if err := db.openBolt(); err != nil {
		return err
	}
	defer func() { _ = db.closeBolt() }()
	if err := guard(db.initialize); err != nil {
		return err
	}
	return db.recheck()
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

// removeMark takes back the mark that damage was met.
func removeMark(path string) error {
	if err := os.Remove(path + suspectSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
