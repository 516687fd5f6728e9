package disk

import "syscall"

// blockSize returns the unit in which the file system counts blocks. Bsize is the preferred
// size of reads instead, which is many times larger on some FUSE file systems.
func blockSize(st *syscall.Statfs_t) uint64 { return uint64(st.Frsize) }
