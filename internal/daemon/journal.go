package daemon

import (
	"context"
	"io"
	"log/slog"
	"sync"
)

// journal writes the priority at the start of each line, <3> for an error, so that
// `journalctl -p warning` works. journald removes it (sd-daemon(3)). Safe for concurrent
// use.
type journal struct {
	w io.Writer

	mu       sync.Mutex // held while one record is written
	priority byte
	line     []byte
}

// Write implements io.Writer for the handler that formats records.
func (j *journal) Write(p []byte) (int, error) {
	j.line = append(append(j.line[:0], '<', j.priority, '>'), p...)
	if _, err := j.w.Write(j.line); err != nil {
		return 0, err
	}
	return len(p), nil
}

// handle writes a record with h, which writes to j.
func (j *journal) handle(ctx context.Context, h slog.Handler, r slog.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.priority = priority(r.Level)
	return h.Handle(ctx, r)
}

// priority returns the syslog priority of a level.
func priority(level slog.Level) byte {
	switch {
	case level >= slog.LevelError:
		return '3'
	case level >= slog.LevelWarn:
		return '4'
	case level >= slog.LevelInfo:
		return '6'
	}
	return '7'
}
