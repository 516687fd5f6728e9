//go:build !unix

package disk

import "os"

// Unlock does nothing where closing a file frees its lock.
func Unlock(*os.File) error { return nil }
