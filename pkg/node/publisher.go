package node

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/republish"
)

// publisher does the disk work of the published keys: it reads those that are due, renews
// the copies here, and notes how publications ended. Its slots are safe for concurrent
// use.
type publisher struct {
	worker
	n *Node

	mu      sync.Mutex
	toLoad  []republish.Item // bounded by the schedule's MaxActive
	toNote  []dht.Published  // bounded by the Machine's queries
	alone   bool             // no peer of the table answers
	renewed time.Time        // last successful publication
	failed  failures         // of publications
	ended   ends             // of publications

	// Owned by the goroutine.
	renewedHere time.Time // when the copies here of overdue keys were last renewed
}

func newPublisher(n *Node) *publisher {
	p := &publisher{worker: newWorker(), n: n}
	go p.run(p.publish)
	return p
}

// load has keys that are due read and renewed.
func (p *publisher) load(items []republish.Item) {
	if len(items) > 0 {
		p.leave(&p.mu, func() { p.toLoad = append(p.toLoad, items...) })
	}
}

// published has the ends of publications noted.
func (p *publisher) published(ps []dht.Published) {
	if len(ps) > 0 {
		p.leave(&p.mu, func() { p.toNote = append(p.toNote, ps...) })
	}
}

// noPeers has the copies here renewed, while no peer answers.
func (p *publisher) noPeers() { p.leave(&p.mu, func() { p.alone = true }) }

func (p *publisher) publish() {
	p.mu.Lock()
	load, note, alone := p.toLoad, p.toNote, p.alone
	p.toLoad, p.toNote, p.alone = nil, nil, false
	p.mu.Unlock()
	each(publishWorkers, note, p.note)
	each(publishWorkers, load, p.loadOne)
	if alone && time.Since(p.renewedHere) >= p.n.renewHereEvery() {
		p.renewedHere = time.Now()
		p.renewHere()
	}
}

// publishWorkers is how many published keys are read, renewed here or noted at once:
// their writes share a commit.
const publishWorkers = 16

// renewHereEvery is how often the copies here are renewed while nobody is there to
// publish them to: soon enough for those that were due just after the last time.
func (n *Node) renewHereEvery() time.Duration {
	return (min(n.cfg.DefaultValueTTL, n.cfg.ProviderTTL) - n.republishInterval()) / 2
}

// renewHere renews our own copies of overdue published keys: without peers the schedule
// hands out none, and they would expire here too. It reads a 256th of the keys at a time.
func (p *publisher) renewHere() {
	for first := range 256 {
		var due []records.Published
		region := kad.PrefixOf(kad.Key{byte(first)}, 8)
		err := p.n.cfg.Keystore.Range(region, func(x records.Published) bool {
			if !x.Due.After(p.renewedHere) {
				due = append(due, x)
			}
			return true
		})
		for i := range due {
			if p.closing() {
				return
			}
			_, _, e := p.n.renew(&due[i])
			err = errors.Join(err, e)
		}
		if err != nil {
			p.n.log.Error("published keys could not be renewed", "err", err)
			return
		}
	}
}

// note persists how a publication ended.
func (p *publisher) note(x dht.Published) {
	var last time.Time
	p.mu.Lock()
	if x.OK {
		last, p.renewed = x.At, x.At
		p.failed.forget(x.Kind, x.Key)
	} else {
		p.failed.add(PublishFailure{Kind: x.Kind, Key: x.Key, At: x.At, Problem: problem(&x)})
	}
	p.mu.Unlock()
	p.n.unannounced.ended(republishItem(uint8(x.Kind), x.Key), x.OK)
	if err := p.n.cfg.Keystore.Done(x.Kind, x.Key, last, x.Due); err != nil {
		p.n.log.Error("the schedule of a published key could not be saved", "kind", x.Kind.String(), "err", err)
	}
}

// loadOne reads a published key that is due, renews the copy here and gives its
// query to the Machine.
func (p *publisher) loadOne(it republish.Item) {
	var pub *records.Published
	err := p.n.cfg.Keystore.Range(kad.PrefixOf(it.Key, kad.KeyBits), func(x records.Published) bool {
		if uint8(x.Kind) == it.Kind {
			pub = &x
		}
		return pub == nil
	})
	gone := err == nil && pub == nil
	var q *dht.Query
	if pub != nil {
		if q, gone, err = p.n.renew(pub); err != nil {
			p.mu.Lock()
			p.failed.add(PublishFailure{Kind: pub.Kind, Key: pub.Key, At: time.Now(), Problem: err.Error()})
			p.mu.Unlock()
		}
	}
	if err != nil {
		p.n.log.Error("a published key could not be renewed", "err", err)
	}
	if gone {
		p.n.unannounced.forget(it)
	}
	_ = p.n.do(func(now time.Time, m *dht.Machine) { m.Loaded(now, it, q, gone) })
}

// noteEnd notes a publication that is over.
func (p *publisher) noteEnd(x PublishEnd) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed.forget(x.Kind, x.Key)
	p.ended.add(x)
}

// lastRenewed returns when a publication last succeeded.
func (p *publisher) lastRenewed() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.renewed
}

// failures returns the published keys that were not published when last tried.
func (p *publisher) failures() []PublishFailure {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.failed)
}

// endings returns the last publications that ended by themselves, and their number.
func (p *publisher) endings() ends {
	p.mu.Lock()
	defer p.mu.Unlock()
	return ends{last: slices.Clone(p.ended.last), n: p.ended.n}
}
