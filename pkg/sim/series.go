package sim

import "time"

// Point is a point of the report's curves. Shares and means cover the time since the
// previous point.
type Point struct {
	Hours    float64 `json:"hours"` // since the end of the warmup
	Servers  int     `json:"servers"`
	Success  float64 `json:"success"`  // of lookups, finds and gets that ended; -1: none ended
	Messages float64 `json:"messages"` // requests of each live server a minute
	Holders  float64 `json:"holders"`  // live holders of a content, mean; -1: no content
	Lost     int     `json:"lost"`     // contents that lost all holders before they expired
	Stale    float64 `json:"stale"`    // of the verified entries of 50 tables
}

// counters are running sums. A point shows how much they grew since the previous point.
type counters struct{ ended, succeeded, requests int64 }

// pointTables is how many tables a point looks at.
const pointTables = 50

func (w *World) count() counters {
	var c counters
	for _, p := range w.phases {
		for _, k := range []opKind{opLookup, opSeek, opFind, opGet} {
			c.ended += int64(p.ops[k].count)
			c.succeeded += int64(p.ops[k].succeeded)
		}
		for _, t := range p.traffic {
			c.requests += t.requests
		}
	}
	return c
}

func (w *World) samplePoint() {
	if w.over {
		return
	}
	now := w.count()
	was := w.counted
	w.counted = now
	p := Point{Hours: (w.now - w.opts.Warmup).Hours(), Servers: len(w.truth.order), Success: -1, Holders: -1}
	if n := now.ended - was.ended; n > 0 {
		p.Success = float64(now.succeeded-was.succeeded) / float64(n)
	}
	p.Messages = float64(now.requests-was.requests) / float64(max(1, p.Servers)) / w.sampleEvery.Minutes()
	var ts tableStats
	step := max(1, len(w.truth.order)/pointTables)
	for i := 0; i < len(w.truth.order); i += step {
		w.measureTable(w.nodes[w.truth.order[i]], &ts)
	}
	p.Stale = ts.stale.value()
	if len(w.tracked) > 0 {
		var ph phase
		w.measureRecords(&ph)
		p.Holders, p.Lost = ph.records.holders.mean(), ph.records.lost
	}
	w.series = append(w.series, p)
	w.queue.push(w.now+w.sampleEvery, evSample, 0)
}

// sinceWarmup converts a time of the run to the time that the scenario counts.
func (w *World) sinceWarmup(at time.Duration) time.Duration { return at - w.opts.Warmup }
