package daemon

import (
	"log/slog"
	"maps"
	"sync"
	"time"
)

// Bounds of repetition: a message of a subsystem is written at most repeatBurst times in
// a window, whatever its attributes. Further ones are only counted.
const (
	repeatBurst  = 10
	repeatWindow = time.Minute
	// repeatKinds bounds the messages that are counted separately. The program and its
	// libraries have a few hundred.
	repeatKinds = 1024
)

// repeats counts messages. Safe for concurrent use.
type repeats struct {
	mu   sync.Mutex
	seen map[repeatKind]*repeat
}

type repeatKind struct {
	subsystem, message string
	level              slog.Level
}

type repeat struct {
	since   time.Time // start of the window
	count   int       // in the window
	leftOut int       // how many of count were suppressed
}

// allow reports whether a message may be written, and how many have been suppressed since
// the last one.
func (r *repeats) allow(k repeatKind, now time.Time) (ok bool, leftOut int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := r.seen[k]
	if x == nil {
		r.makeRoom(now)
		x = &repeat{since: now}
		r.seen[k] = x
	}
	if now.Sub(x.since) >= repeatWindow {
		leftOut = x.leftOut
		*x = repeat{since: now}
	}
	x.count++
	if x.count > repeatBurst {
		x.leftOut++
		return false, 0
	}
	return true, leftOut
}

// makeRoom removes messages whose window is over. If no window is over, it removes all. The
// caller holds mu.
func (r *repeats) makeRoom(now time.Time) {
	if len(r.seen) >= repeatKinds {
		maps.DeleteFunc(r.seen, func(_ repeatKind, x *repeat) bool { return now.Sub(x.since) >= repeatWindow })
	}
	if r.seen == nil || len(r.seen) >= repeatKinds {
		r.seen = make(map[repeatKind]*repeat)
	}
}
