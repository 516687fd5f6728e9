//go:build unix

package disk

import (
	"os"
	"syscall"
)

// Unlock frees the lock that bbolt has put on a file. To close it is not enough:
// the lock lives as long as the mapping.
func Unlock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
