//go:build !linux

package daemon

import "io"

// onJournal: only Linux has systemd's journal.
func onJournal(io.Writer, string) bool { return false }
