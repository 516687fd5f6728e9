package disk

import "syscall"

// blockSize returns the unit in which a file system counts. Bsize is what it would
// like to be read in: FUSE has some where that is many times as much.
func blockSize(st *syscall.Statfs_t) uint64 { return uint64(st.Frsize) }
