//go:build linux || darwin || freebsd

package disk

import (
	"fmt"
	"syscall"
)

// SpaceOf returns what the file system of a directory has.
func SpaceOf(dir string) (Space, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return Space{}, fmt.Errorf("storage: space of %s: %w", dir, err)
	}
	return Space{Free: times(st.Bavail, st.Bsize), Total: times(st.Blocks, st.Bsize)}, nil
}

// integer are the types that the fields of Statfs_t have on one system or another.
type integer interface {
	~int32 | ~uint32 | ~int64 | ~uint64
}

func times[N, S integer](n N, size S) int64 { return int64(n) * int64(size) }
