//go:build unix

package runs

import (
	"os"
	"syscall"
)

// unlock frees the lock that bbolt has put on a file. To close it is not enough:
// the lock lives as long as the mapping.
func unlock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
