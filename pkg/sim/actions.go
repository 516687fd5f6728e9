package sim

import (
	"errors"
	"time"
)

// actions build what a scenario's steps do from their arguments.
var actions = map[string]func(*arguments) (func(*World), error){
	// phase NAME starts a phase, which the report shows separately. It comes before all other
	// actions of its time.
	"phase": func(a *arguments) (func(*World), error) {
		name, ok := a.at(0)
		if !ok {
			return nil, errors.New("want a name")
		}
		return func(w *World) { w.beginPhase(name) }, nil
	},
	// lookup [N]: random nodes look for random keys.
	"lookup": repeated((*World).lookup),
	// seek [N]: random nodes look for a peer that does not exist.
	"seek": repeated((*World).seek),
	// provide [N] and put [N]: random servers announce content or store values, once each.
	"provide": repeated(func(w *World) { w.provide(w.nextContent(false), false) }),
	"put":     repeated(func(w *World) { w.provide(w.nextContent(true), false) }),
	// publish [N] and publish-values [N]: the same, republished at every interval.
	"publish":        repeated(func(w *World) { w.provide(w.nextContent(false), true) }),
	"publish-values": repeated(func(w *World) { w.provide(w.nextContent(true), true) }),
	// publish-all N: one server has N keys to publish, all due.
	"publish-all": func(a *arguments) (func(*World), error) {
		n, err := a.count(0, 1)
		return func(w *World) { w.publishAll(n) }, err
	},
	// find [N]: random nodes look for random content, find-hot [N] for the first.
	"find":     repeated(func(w *World) { w.findAny() }),
	"find-hot": repeated(func(w *World) { w.findFirst() }),
	// kill SHARE: random servers stop answering for good.
	"kill": shared((*World).kill),
	// restart SHARE [DOWN]: random servers stop at the same time and start again.
	"restart": func(a *arguments) (func(*World), error) {
		p, err := a.share(0)
		down, err2 := a.duration(1, time.Minute)
		return func(w *World) { w.restart(p, down) }, errors.Join(err, err2)
	},
	// partition SHARE: random nodes cannot reach the rest until heal.
	"partition": shared((*World).partition),
	"heal":      func(*arguments) (func(*World), error) { return (*World).heal, nil },
	// lie SHARE: random servers become adversaries that name only each other and hold no
	// records.
	"lie": shared((*World).lie),
	// sybils N [KEYS]: N adversaries with the IDs nearest to each of the next KEYS keys
	// that are provided.
	"sybils": func(a *arguments) (func(*World), error) {
		n, err := a.count(0, 45)
		keys, err2 := a.count(1, 1)
		return func(w *World) { w.sybils(n, keys) }, errors.Join(err, err2)
	},
}

// repeated builds an action that runs [N] times.
func repeated(do func(*World)) func(*arguments) (func(*World), error) {
	return func(a *arguments) (func(*World), error) {
		n, err := a.count(0, 1)
		return func(w *World) {
			for range n {
				do(w)
			}
		}, err
	}
}

// shared builds an action that takes a share of the nodes.
func shared(do func(*World, float64)) func(*arguments) (func(*World), error) {
	return func(a *arguments) (func(*World), error) {
		p, err := a.share(0)
		return func(w *World) { do(w, p) }, err
	}
}

// takeStep takes step i of the scenario and schedules its next run.
func (w *World) takeStep(i uint32) {
	s := &w.scenario.Steps[i]
	s.act(w)
	if s.Every == 0 {
		return
	}
	until := w.opts.Duration
	if s.Until > 0 {
		until = min(until, s.Until)
	}
	if next := w.now + s.Every; next <= w.opts.Warmup+until {
		w.scheduleStep(next, i)
	}
}

// scheduleStep queues step i of the scenario. A step that begins a phase comes before all
// other events of its time, so that the phase before it does not measure their effects.
func (w *World) scheduleStep(at time.Duration, i uint32) {
	if w.scenario.Steps[i].phase {
		w.queue.pushPhase(at, evStep, i)
		return
	}
	w.queue.push(at, evStep, i)
}

// servers draws a share of the live honest servers that are not bootstrap nodes.
func (w *World) servers(p float64) []*node {
	var all []*node
	for _, num := range w.truth.order {
		if int(num) >= w.opts.Bootstrap {
			all = append(all, w.nodes[num])
		}
	}
	w.random.work.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:int(p*float64(len(all))+0.5)]
}

func (w *World) kill(p float64) {
	for _, n := range w.servers(p) {
		w.stop(n)
	}
}

// restart stops servers and starts them again with the contents of their disks.
func (w *World) restart(p float64, down time.Duration) {
	for _, n := range w.servers(p) {
		w.save(n)
		w.stop(n)
		w.queue.push(w.now+down, evStart, n.num)
	}
}

func (w *World) partition(p float64) {
	w.parted = true
	for _, n := range w.nodes {
		if int(n.num) >= w.opts.Bootstrap && w.random.work.Float64() < p {
			n.side = 1
		}
	}
}

func (w *World) heal() {
	w.parted = false
	for _, n := range w.nodes {
		n.side = 0
	}
}

// nextContent returns the content to provide next: one that Sybils surround, or a new
// one.
func (w *World) nextContent(value bool) *content {
	if len(w.besieged) == 0 {
		return w.newContent(value)
	}
	c := w.besieged[0]
	w.besieged = w.besieged[1:]
	c.value = value
	return c
}

// publishAll gives one server many keys that are all due at the same time.
func (w *World) publishAll(n int) {
	if server := w.randomServer(); server != nil {
		for range n {
			w.publishLater(server, w.newContent(false))
		}
		server.machine.Tick(w.clock)
		w.perform(server)
	}
}

func (w *World) findAny() {
	if len(w.ready) > 0 {
		w.find(w.ready[w.random.work.IntN(len(w.ready))])
	}
}

func (w *World) findFirst() {
	if len(w.ready) > 0 {
		w.find(w.ready[0])
	}
}
