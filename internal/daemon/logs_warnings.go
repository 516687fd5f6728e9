package daemon

import (
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/holdfast-dht/holdfast/internal/api"
)

// Bounds of the warnings that are kept for the status page.
const (
	keptWarnings   = 20
	maxWarningText = 500 // bytes of one
)

// warnings keeps the last messages with level WARN or ERROR, each once. Safe for concurrent
// use.
type warnings struct {
	mu   sync.Mutex
	kept []keptWarning // the newest last
}

type keptWarning struct {
	kind repeatKind
	api.Warning
}

// add keeps a message, with the attributes of its logger. Text from peers is escaped.
func (w *warnings) add(kind repeatKind, attrs []slog.Attr, r slog.Record) {
	text := warningText(attrs, r)
	w.mu.Lock()
	defer w.mu.Unlock()
	count := 1
	if i := slices.IndexFunc(w.kept, func(k keptWarning) bool { return k.kind == kind }); i >= 0 {
		count += w.kept[i].Count
		w.kept = slices.Delete(w.kept, i, i+1)
	}
	if len(w.kept) == keptWarnings {
		w.kept = slices.Delete(w.kept, 0, 1)
	}
	w.kept = append(w.kept, keptWarning{kind, api.Warning{
		Time: r.Time, Level: kind.level.String(), Subsystem: logText(kind.subsystem), Text: text, Count: count,
	}})
}

// warningText returns the message and its attributes on one line.
func warningText(attrs []slog.Attr, r slog.Record) string {
	var b strings.Builder
	b.WriteString(logText(r.Message))
	write := func(a slog.Attr) bool {
		b.WriteString(" " + logText(a.Key) + "=" + logText(a.Value.Resolve().String()))
		return b.Len() <= maxWarningText
	}
	for _, a := range attrs {
		write(a)
	}
	r.Attrs(write)
	text := b.String()
	if len(text) > maxWarningText {
		const more = "..."
		text = strings.ToValidUTF8(text[:maxWarningText-len(more)], "") + more
	}
	return text
}

// last returns the messages, newest first.
func (w *warnings) last() []api.Warning {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]api.Warning, 0, len(w.kept))
	for _, k := range slices.Backward(w.kept) {
		out = append(out, k.Warning)
	}
	return out
}
