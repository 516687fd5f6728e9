//go:build !linux

package daemon

// monotonicUsec returns 0: only systemd needs it.
func monotonicUsec() int64 { return 0 }
