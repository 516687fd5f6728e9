package sim

import (
	"time"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/kbucket"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/republish"
)

const (
	// drain is how long a run continues after its end, so that every query that began
	// before can end: the longest time of a query, and of its last requests.
	drain = dht.QueryTimeout + 5*time.Second
	// samplesPerRun is about how many points the report's curves have.
	samplesPerRun = 96
	// restoredShare is the share of the saved peers that must be verified for a restarted
	// node to count as restored.
	restoredShare = 0.95
)

// End returns when the run is over.
func (w *World) End() time.Duration { return w.opts.Warmup + w.opts.Duration + drain }

// Run runs the world to its end. After each simulated second it calls tick, if not nil;
// an error of tick stops the run and is returned.
func (w *World) Run(tick func(now time.Duration) error) error {
	for w.now < w.End() {
		w.RunUntil(min(w.now+time.Second, w.End()))
		if tick == nil {
			continue
		}
		if err := tick(w.now); err != nil {
			return err
		}
	}
	w.checkEnd()
	return nil
}

// plan schedules the scenario and the measures.
func (w *World) plan() {
	start := w.opts.Warmup
	w.queue.pushPhase(start, evPhase, phaseFirst)
	for i := range w.scenario.Steps {
		if s := &w.scenario.Steps[i]; s.At < w.opts.Duration {
			w.scheduleStep(start+s.At, uint32(i))
		}
	}
	w.sampleEvery = max(w.opts.Duration/samplesPerRun, time.Minute).Round(time.Second)
	w.queue.push(start+w.sampleEvery, evSample, 0)
	w.queue.pushPhase(start+w.opts.Duration, evPhase, phaseLast)
}

// The arguments of evPhase.
const (
	phaseFirst = iota
	phaseLast
)

// turnPhase starts or ends the measured time.
func (w *World) turnPhase(which uint32) {
	if which == phaseLast {
		w.endPhase()
		w.phase = &phase{name: "drain", from: w.now}
		w.over = true
		return
	}
	w.beginPhase("main")
	if w.opts.Dead > 0 {
		w.kill(w.opts.Dead)
	}
}

// beginPhase ends the current phase and starts the next. The report leaves out a phase in
// which no time passed.
func (w *World) beginPhase(name string) {
	if len(w.phases) > 0 && w.phase.from == w.now {
		w.phases = w.phases[:len(w.phases)-1]
	} else {
		w.endPhase()
	}
	w.phase = &phase{name: name, from: w.now}
	w.phases = append(w.phases, w.phase)
}

// save stores the snapshot of a node's table for its next start.
func (w *World) save(n *node) {
	if !w.opts.Protocol.Snapshot {
		return
	}
	n.table.Entries(func(e kbucket.Entry) bool {
		if e.Verified {
			n.saved = append(n.saved, e.Peer)
		}
		return len(n.saved) < records.MaxSnapshotPeers
	})
}

// publishLater gives a server a key to publish that is due now.
func (w *World) publishLater(n *node, c *content) {
	c.owner = n
	w.track(c)
	w.ready = append(w.ready, c)
	n.machine.Scheduled(w.clock, republish.Item{Key: c.at, Kind: uint8(c.recordKind())}, w.clock, false)
}

// watchStart records when a started node has joined or has restored its table.
func (w *World) watchStart(n *node) {
	switch {
	case n.joining && !n.machine.LastRefresh().IsZero():
		n.joining = false
		w.phase.joined.add((w.now - n.startedAt).Microseconds())
	case n.restoring > 0:
		if _, verified := n.table.Len(); float64(verified) >= restoredShare*float64(n.restoring) {
			n.restoring = 0
			w.phase.restored.add((w.now - n.startedAt).Microseconds())
		}
	}
}
