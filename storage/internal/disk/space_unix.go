//go:build linux || darwin || freebsd

package disk

import (
	"fmt"
	"syscall"
)

// SpaceOf returns the capacity of the file system that contains dir.
func SpaceOf(dir string) (Space, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return Space{}, fmt.Errorf("space of %s: %w", dir, err)
	}
	size := int64(blockSize(&st))
	return Space{Free: int64(st.Bavail) * size, Total: int64(st.Blocks) * size}, nil
}
