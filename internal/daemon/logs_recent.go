package daemon

import (
	"bytes"
	"io"
	"sync"
	"time"
)

// Bounds of the lines kept for a debug bundle.
const (
	recentLines = 2000
	recentBytes = 512 << 10
)

// recent keeps the last lines of the log. Safe for concurrent use.
type recent struct {
	now func() time.Time

	mu    sync.Mutex
	lines []recentLine // oldest first
	bytes int          // of all lines
}

type recentLine struct {
	at   time.Time
	text []byte
}

// Write implements io.Writer: one call, one line.
func (r *recent) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, recentLine{r.now(), bytes.Clone(p)})
	r.bytes += len(p)
	for len(r.lines) > recentLines || r.bytes > recentBytes {
		r.bytes -= len(r.lines[0].text)
		r.lines[0].text = nil
		r.lines = r.lines[1:]
	}
	return len(p), nil
}

// dump writes the lines, each with the time at which it was logged.
func (r *recent) dump(w io.Writer) error {
	r.mu.Lock()
	lines := append([]recentLine(nil), r.lines...)
	r.mu.Unlock()
	for _, l := range lines {
		text := l.at.UTC().AppendFormat(nil, time.RFC3339Nano)
		text = append(append(text, ' '), l.text...)
		if _, err := w.Write(text); err != nil {
			return err
		}
	}
	return nil
}

// tee writes to both and returns the result of the log.
type tee struct {
	kept *recent
	log  io.Writer
}

// Write implements io.Writer.
func (t tee) Write(p []byte) (int, error) {
	_, _ = t.kept.Write(p) // cannot fail
	return t.log.Write(p)
}
