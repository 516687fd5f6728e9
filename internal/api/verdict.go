package api

import (
	"time"

	"github.com/holdfast-dht/holdfast/internal/verdict"
)

// Verdict says in words whether the node is well.
type Verdict struct {
	Cause
	// Causes are all problems, the worst first. If there are any, the verdict is the first.
	Causes []Cause `json:"causes"`
}

// Cause is one problem of a node. The levels are ok, starting, warning and critical
// (internal/verdict).
type Cause struct {
	Level   string    `json:"level"`
	Word    string    `json:"word"` // such as "DISK FULL", or "Healthy"
	Why     string    `json:"why"`
	Since   time.Time `json:"since,omitzero"` // zero: unknown, or there is no problem
	Runbook string    `json:"runbook"`        // URL of the page that says what to do; may be empty
}

// IsProblem reports whether an operator must do something about the cause, now or later.
func (c *Cause) IsProblem() bool { return c.Level == verdict.Warning || c.Level == verdict.Critical }
