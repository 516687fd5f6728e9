package storage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// lockName is the file in the directory that the owning process keeps locked. bbolt locks its
// file too, but when that file is moved aside, its lock moves with it.
const lockName = "lock"

// lockPoll is the interval between attempts to take a held lock.
const lockPoll = 50 * time.Millisecond

// LockedError names the process that uses the directory. It unwraps to ErrLocked.
type LockedError struct {
	Path    string    // of the directory or file
	PID     int       // zero: unknown
	Started time.Time // when the process took the lock
	Command string    // base name of the program
}

// Error names the directory and, if known, the process.
func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("%v: %s", ErrLocked, e.Path)
	}
	return fmt.Sprintf("%v: %s is held by pid %d (%s) since %s",
		ErrLocked, e.Path, e.PID, e.Command, e.Started.Format(time.RFC3339))
}

// Unwrap returns ErrLocked.
func (e *LockedError) Unwrap() error { return ErrLocked }

// lockedFile turns ErrLocked into a *LockedError for a file.
func lockedFile(path string, err error) error {
	if errors.Is(err, ErrLocked) {
		return &LockedError{Path: path}
	}
	return err
}

// dirLock is a held lock on a directory.
type dirLock struct {
	f      *os.File // nil: not held
	shared bool
}

// lockDir locks the directory for this process alone, or shared with other readers.
func lockDir(dir string, shared bool, timeout time.Duration) (*dirLock, error) {
	path := filepath.Join(dir, lockName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if shared && err != nil && !errors.Is(err, fs.ErrNotExist) {
		// A reader without write permission relies on bbolt's lock alone.
		return &dirLock{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	for deadline := time.Now().Add(timeout); ; {
		ok, err := disk.TryLock(f, shared)
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if ok {
			break
		}
		if time.Now().After(deadline) {
			held := lockedBy(f, dir)
			f.Close()
			return nil, held
		}
		time.Sleep(lockPoll)
	}
	if !shared {
		writeOwner(f)
	}
	return &dirLock{f: f, shared: shared}, nil
}

// writeOwner writes a note for processes that find the directory locked. The lock works
// without the note, so errors (such as a full disk) are ignored.
func writeOwner(f *os.File) {
	_ = f.Truncate(0)
	note := fmt.Sprintf("%d\n%d\n%s\n", os.Getpid(), time.Now().Unix(), filepath.Base(os.Args[0]))
	_, _ = f.WriteAt([]byte(note), 0)
}

// lockedBy reads the note of the process that holds the lock.
func lockedBy(f *os.File, dir string) *LockedError {
	e := &LockedError{Path: dir}
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 4096))
	if err != nil {
		return e
	}
	lines := strings.Split(string(b), "\n")
	if len(lines) < 3 {
		return e
	}
	pid, err := strconv.Atoi(lines[0])
	since, err2 := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || err2 != nil {
		return e
	}
	e.PID, e.Started, e.Command = pid, time.Unix(since, 0), lines[2]
	return e
}

// release clears the note and releases the lock.
func (l *dirLock) release() {
	if l.f == nil {
		return
	}
	if !l.shared {
		_ = l.f.Truncate(0)
	}
	_ = l.f.Close()
	l.f = nil
}
