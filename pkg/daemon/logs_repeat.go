package daemon

import (
	"log/slog"
	"maps"
	"sync"
	"time"
)

// Bounds of repetition: a message of a subsystem is written so often in a window,
// whatever its attributes are; what comes beyond is counted.
const (
	repeatBurst  = 10
	repeatWindow = time.Minute
	// repeatKinds bounds the messages that are told apart: a few hundred are in the
	// program and its libraries.
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
	since   time.Time // begin of the window
	count   int       // in the window
	leftOut int       // of count
}

// allow reports whether a message may be written, and how many before it were left
// out since the last one.
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

// makeRoom forgets messages whose window is over, all of them if none is. mu is held.
func (r *repeats) makeRoom(now time.Time) {
	if len(r.seen) >= repeatKinds {
		maps.DeleteFunc(r.seen, func(_ repeatKind, x *repeat) bool { return now.Sub(x.since) >= repeatWindow })
	}
	if r.seen == nil || len(r.seen) >= repeatKinds {
		r.seen = make(map[repeatKind]*repeat)
	}
}
