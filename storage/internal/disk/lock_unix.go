//go:build unix

package disk

import (
	"errors"
	"os"
	"syscall"
)

// TryLock takes a shared or exclusive lock on a file without waiting. It reports whether it
// succeeded.
func TryLock(f *os.File, shared bool) (bool, error) {
	how := syscall.LOCK_EX | syscall.LOCK_NB
	if shared {
		how = syscall.LOCK_SH | syscall.LOCK_NB
	}
	err := syscall.Flock(int(f.Fd()), how)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// Unlock releases the lock that bbolt took on a file. Closing the file is not enough: the
// lock lives as long as the mapping.
func Unlock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
