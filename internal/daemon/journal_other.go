//go:build !linux

package daemon

import "io"

// onJournal returns false: only Linux has systemd's journal.
func onJournal(io.Writer, string) bool { return false }
