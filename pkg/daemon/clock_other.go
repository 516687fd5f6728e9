//go:build !linux

package daemon

// monotonicUsec is of use to systemd only.
func monotonicUsec() int64 { return 0 }
