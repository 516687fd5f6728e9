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

// lockName is the file in the directory that its user holds locked. bbolt locks
// its file too, but that lock goes with the file when it is moved aside.
const lockName = "lock"

// lockPoll is how often a held lock is tried again.
const lockPoll = 50 * time.Millisecond

// LockedError says who uses the directory. It unwraps to ErrLocked.
type LockedError struct {
	Path    string    // of the directory or file
	PID     int       // zero: unknown
	Started time.Time // when it took the lock
	Command string    // its first argument
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

// lockedFile turns ErrLocked into a *LockedError of a file.
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

// lockDir takes the directory for this process, or for one of several readers.
func lockDir(dir string, shared bool, timeout time.Duration) (*dirLock, error) {
	path := filepath.Join(dir, lockName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if shared && err != nil && !errors.Is(err, fs.ErrNotExist) {
		// A reader without the right to write relies on bbolt's lock alone.
		return &dirLock{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("storage: lock: %w", err)
	}
	for deadline := time.Now().Add(timeout); ; {
		ok, err := disk.TryLock(f, shared)
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("storage: lock %s: %w", path, err)
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

// writeOwner leaves a note for whoever finds the lock taken. It is of no use to
// the lock itself, so that its errors (a full disk) do not matter.
func writeOwner(f *os.File) {
	_ = f.Truncate(0)
	note := fmt.Sprintf("%d\n%d\n%s\n", os.Getpid(), time.Now().Unix(), filepath.Base(os.Args[0]))
	_, _ = f.WriteAt([]byte(note), 0)
}

// lockedBy reads the note of the lock's owner.
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

// release lets go of the directory and removes the note.
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
