//go:build darwin || freebsd

package disk

import "syscall"

// blockSize returns the unit in which the file system counts blocks.
func blockSize(st *syscall.Statfs_t) uint64 { return uint64(st.Bsize) }
