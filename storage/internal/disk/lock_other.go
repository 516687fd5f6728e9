//go:build !unix

package disk

import "os"

// TryLock leaves the exclusion to bbolt's own lock where there is no flock.
func TryLock(*os.File, bool) (bool, error) { return true, nil }

// Unlock does nothing where closing a file frees its lock.
func Unlock(*os.File) error { return nil }
