//go:build !unix

package disk

import "os"

// TryLock always succeeds: without flock, bbolt's own lock excludes other processes.
func TryLock(*os.File, bool) (bool, error) { return true, nil }

// Unlock does nothing: closing a file releases its lock.
func Unlock(*os.File) error { return nil }
