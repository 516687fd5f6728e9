package verdict

import (
	"cmp"
	"slices"
	"time"
)

// The levels of a cause, in the order of their severity.
const (
	OK       = "ok"
	Starting = "starting" // neither well nor unwell yet; also while the node stops
	Warning  = "warning"  // can wait until the morning
	Critical = "critical" // the node does not do its work
)

var severity = map[string]int{OK: 0, Starting: 1, Warning: 2, Critical: 3}

// Cause is one problem of a node. A healthy node has one with level OK.
type Cause struct {
	Level   string
	Word    string // such as "DISK FULL"; upper case if critical
	Why     string // names no peer, address, key or path
	Since   time.Time
	Runbook string // URL; empty: none
}

// String returns the cause as one line.
func (c Cause) String() string {
	since := ""
	if !c.Since.IsZero() {
		since = " since " + c.Since.UTC().Format(time.RFC3339)
	}
	return c.Word + since + ": " + c.Why
}

// rule recognises one problem. ok is false if there is none.
type rule struct {
	page   string // of the documentation, with its anchor; empty: none
	causes func(*Facts) (c Cause, ok bool)
}

// Of returns all problems, the worst first: by level, then in the order of the rules. If there
// is none, it returns one cause with level OK. docs is the URL of the documentation, see Docs.
func Of(f *Facts, docs string) []Cause {
	if f.Stopping {
		return []Cause{{Level: Starting, Word: "Stopping", Why: "the node is shutting down"}}
	}
	var found []Cause
	for _, r := range rules {
		if c, ok := r.causes(f); ok {
			if r.page != "" {
				c.Runbook = docs + r.page
			}
			found = append(found, c)
		}
	}
	if len(found) == 0 {
		return []Cause{healthy(f)}
	}
	slices.SortStableFunc(found, func(a, b Cause) int { return cmp.Compare(severity[b.Level], severity[a.Level]) })
	return found
}
