//go:build unix

package daemon

import "syscall"

// descriptors returns how many file descriptors libp2p may use.
func descriptors() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fallbackDescriptors
	}
	return int(float64(min(limit.Cur, 1<<20)) * descriptorsForLibp2p)
}
