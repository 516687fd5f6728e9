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
	kind    repeatKind
	message string // without attributes
	api.Warning
}

// add keeps a message, with the attributes of its logger. Text from peers is escaped.
func (w *warnings) add(kind repeatKind, attrs []slog.Attr, r slog.Record) {
	text, message := warningText(attrs, r), warningText(nil, slog.Record{Message: r.Message})
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
	w.kept = append(w.kept, keptWarning{kind, message, api.Warning{
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

// messages returns what last does, without the attributes: they may contain paths and parts of
// the configuration.
func (w *warnings) messages() []api.Warning {
	return w.list(func(k *keptWarning) string { return k.message })
}

// last returns the messages, newest first.
func (w *warnings) last() []api.Warning {
	return w.list(func(k *keptWarning) string { return k.Text })
}

func (w *warnings) list(text func(*keptWarning) string) []api.Warning {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]api.Warning, 0, len(w.kept))
	for _, k := range slices.Backward(w.kept) {
		k.Text = text(&k)
		out = append(out, k.Warning)
	}
	return out
}
