package daemon

import (
	"context"
	"io"
	"log"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/gologshim"

	"github.com/holdfast-dht/holdfast/internal/config"
)

// libp2pLogs is the parent of go-libp2p's subsystems, such as "libp2p/swarm2".
const libp2pLogs = "libp2p"

// Logs writes logs with a level for each subsystem, which can change at run time. Strings
// from other peers are safe to log, because unprintable characters are escaped. A
// repeated message is written at most ten times a minute. Safe for concurrent use.
type Logs struct {
	inner   slog.Handler
	journal *journal // nil: w is not systemd's journal
	recent  recent
	warned  warnings
	repeats repeats

	mu     sync.Mutex // serialises changes
	levels atomic.Pointer[map[string]slog.Level]
}

// NewLogs writes to w: format is "text" or "json", levels as in log.level. If w is
// systemd's journal, lines have a priority and no time, because the journal adds the time
// itself.
func NewLogs(w io.Writer, format, levels string) (*Logs, error) {
	return newLogs(w, onJournal(w, os.Getenv("JOURNAL_STREAM")), format, levels)
}

func newLogs(w io.Writer, toJournal bool, format, levels string) (*Logs, error) {
	l := &Logs{recent: recent{now: time.Now}}
	if toJournal {
		l.journal = &journal{w: w}
		w = l.journal
	}
	w = tee{&l.recent, w}
	all := &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: replaceAttr(toJournal)}
	l.inner = slog.NewTextHandler(w, all)
	if format == "json" {
		l.inner = slog.NewJSONHandler(w, all)
	}
	return l, l.SetAll(levels)
}

// Logger returns the logger of a subsystem.
func (l *Logs) Logger(subsystem string) *slog.Logger {
	h := &logHandler{logs: l, inner: l.inner, subsystem: subsystem}
	return slog.New(h).With("subsystem", subsystem)
}

// CaptureLibraries sends to l what libraries log: go-libp2p's own logs, and as warnings what
// Go's package log prints, for example of quic-go if the kernel limits its UDP buffers. It
// applies to the whole process and must be called before the first libp2p log.
func (l *Logs) CaptureLibraries() {
	log.SetFlags(0)
	log.SetOutput(slog.NewLogLogger(l.Logger("daemon").Handler(), slog.LevelWarn).Writer())
	gologshim.SetDefaultHandler(&logHandler{logs: l, inner: l.inner, subsystem: libp2pLogs})
}

// SetAll replaces all levels. text has the form of log.level.
func (l *Logs) SetAll(text string) error {
	root, levels, err := config.ParseLevels(text)
	if err != nil {
		return err
	}
	levels[""] = root
	l.mu.Lock()
	defer l.mu.Unlock()
	l.levels.Store(&levels)
	return nil
}

// Set sets the level of one subsystem, or of all if subsystem is "".
func (l *Logs) Set(subsystem, text string) error {
	level, err := config.ParseLevel(text)
	if err != nil {
		return err
	}
	if subsystem == "" {
		return l.SetAll(text)
	}
	if err := config.CheckSubsystem(subsystem); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	levels := maps.Clone(*l.levels.Load())
	levels[subsystem] = level
	l.levels.Store(&levels)
	return nil
}

// Levels returns the levels that are set, the root's under "".
func (l *Logs) Levels() map[string]string {
	out := map[string]string{}
	for name, level := range *l.levels.Load() {
		out[name] = strings.ToLower(level.String())
	}
	return out
}

// level returns the level of the subsystem, of its parent, or of the root.
func (l *Logs) level(subsystem string) slog.Level {
	levels := *l.levels.Load()
	if level, ok := levels[subsystem]; ok {
		return level
	}
	if above, _, ok := strings.Cut(subsystem, "/"); ok {
		return l.level(above)
	}
	return levels[""]
}

// logHandler is the slog.Handler of one subsystem. Immutable.
type logHandler struct {
	logs      *Logs
	inner     slog.Handler
	subsystem string
	attrs     []slog.Attr // of the logger, without its subsystem
}

// Enabled implements slog.Handler.
func (h *logHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.logs.level(h.subsystem)
}

// Handle implements slog.Handler. Debug messages are never suppressed as repeated.
func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelInfo {
		kind := repeatKind{h.subsystem, r.Message, r.Level}
		if r.Level >= slog.LevelWarn {
			h.logs.warned.add(kind, h.attrs, r)
		}
		ok, leftOut := h.logs.repeats.allow(kind, r.Time)
		if !ok {
			return nil
		}
		if leftOut > 0 {
			r = r.Clone()
			r.AddAttrs(slog.Int("left_out", leftOut))
		}
	}
	if j := h.logs.journal; j != nil {
		return j.handle(ctx, h.inner, r)
	}
	return h.inner.Handle(ctx, r)
}

// WithAttrs implements slog.Handler. go-libp2p names its subsystem in the attribute
// "logger".
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := &logHandler{logs: h.logs, inner: h.inner.WithAttrs(attrs), subsystem: h.subsystem, attrs: slices.Clip(h.attrs)}
	for _, a := range attrs {
		switch {
		case a.Key == "logger" && next.subsystem == libp2pLogs:
			next.subsystem = libp2pLogs + "/" + a.Value.String()
		case a.Key != "subsystem":
			next.attrs = append(next.attrs, a)
		}
	}
	return next
}

// WithGroup implements slog.Handler.
func (h *logHandler) WithGroup(name string) slog.Handler {
	return &logHandler{logs: h.logs, inner: h.inner.WithGroup(name), subsystem: h.subsystem, attrs: h.attrs}
}
