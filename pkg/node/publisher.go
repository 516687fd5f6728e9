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

// publisher does the disk work for published keys: it reads keys that are due, stores
// their records locally again, and saves the outcome of publications. Its slots are safe
// for concurrent use.
type publisher struct {
	worker
	n *Node

	mu          sync.Mutex
	toLoad      []republish.Item // at most the schedule's MaxActive
	toNote      []dht.Published  // at most dht.MaxQueries
	alone       bool             // no peer of the table answers
	republished time.Time        // last successful publication
	failed      failures         // of publications
	ended       ends             // of publications

	// Owned by the goroutine.
	republishedLocally time.Time // when republishLocally last ran
}

func newPublisher(n *Node) *publisher {
	p := &publisher{worker: newWorker(), n: n}
	go p.run(p.publish)
	return p
}

// load makes the publisher read and republish keys that are due.
func (p *publisher) load(items []republish.Item) {
	if len(items) > 0 {
		p.leave(&p.mu, func() { p.toLoad = append(p.toLoad, items...) })
	}
}

// published makes the publisher save the outcome of publications.
func (p *publisher) published(ps []dht.Published) {
	if len(ps) > 0 {
		p.leave(&p.mu, func() { p.toNote = append(p.toNote, ps...) })
	}
}

// noPeers makes the publisher republish overdue keys locally, because no peer answers.
func (p *publisher) noPeers() { p.leave(&p.mu, func() { p.alone = true }) }

func (p *publisher) publish() {
	p.mu.Lock()
	load, note, alone := p.toLoad, p.toNote, p.alone
	p.toLoad, p.toNote, p.alone = nil, nil, false
	p.mu.Unlock()
	each(publishWorkers, note, p.note)
	each(publishWorkers, load, p.loadOne)
	if alone && time.Since(p.republishedLocally) >= p.n.republishLocallyEvery() {
		p.republishedLocally = time.Now()
		p.republishLocally()
	}
}

// publishWorkers limits the keys that the publisher works on concurrently: their writes
// share a commit.
const publishWorkers = 16

// republishLocallyEvery is how often republishLocally runs while there is no peer to publish
// to. It is short enough that a key due just after one run does not expire before the next.
func (n *Node) republishLocallyEvery() time.Duration {
	return (min(n.cfg.DefaultValueTTL, n.cfg.ProviderTTL) - n.republishInterval()) / 2
}

// republishLocally stores the records of overdue keys locally again. Without peers the
// schedule hands out no keys, so the local copies would expire. It reads a 256th of the
// keys at a time.
func (p *publisher) republishLocally() {
	for first := range 256 {
		var due []records.Published
		region := kad.PrefixOf(kad.Key{byte(first)}, 8)
		err := p.n.cfg.Keystore.Range(region, func(x records.Published) bool {
			if !x.Due.After(p.republishedLocally) {
				due = append(due, x)
			}
			return true
		})
		for i := range due {
			if p.closing() {
				return
			}
			_, _, e := p.n.republish(&due[i])
			err = errors.Join(err, e)
		}
		if err != nil {
			p.n.log.Error("published keys could not be republished", "err", err)
			return
		}
	}
}

// note saves the outcome of a publication.
func (p *publisher) note(x dht.Published) {
	var last time.Time
	p.mu.Lock()
	if x.OK {
		last, p.republished = x.At, x.At
		p.failed.forget(x.Kind, x.Key)
	} else {
		p.failed.add(PublishFailure{Kind: x.Kind, Key: x.Key, At: x.At, Problem: problem(&x)})
	}
	p.mu.Unlock()
	p.n.unannounced.ended(republishItem(uint8(x.Kind), x.Key), x.OK)
	if err := p.n.cfg.Keystore.Done(x.Kind, x.Key, last, x.Due); err != nil {
		p.n.log.Error("due time of a published key could not be saved", "kind", x.Kind.String(), "err", err)
	}
}

// loadOne reads a published key that is due, stores its record locally again and passes
// the query that publishes it to the Machine.
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
		if q, gone, err = p.n.republish(pub); err != nil {
			p.mu.Lock()
			p.failed.add(PublishFailure{Kind: pub.Kind, Key: pub.Key, At: time.Now(), Problem: err.Error()})
			p.mu.Unlock()
		}
	}
	if err != nil {
		p.n.log.Error("published key could not be republished", "err", err)
	}
	if gone {
		p.n.unannounced.forget(it)
	}
	_ = p.n.do(func(now time.Time, m *dht.Machine) { m.Loaded(now, it, q, gone) })
}

// noteEnd records that the publication of a key has ended.
func (p *publisher) noteEnd(x PublishEnd) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed.forget(x.Kind, x.Key)
	p.ended.add(x)
}

// lastRepublished returns when a publication last succeeded.
func (p *publisher) lastRepublished() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.republished
}

// failures returns the keys whose last publication failed.
func (p *publisher) failures() []PublishFailure {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.failed)
}

// endings returns the last keys whose publication ended by itself, and their number.
func (p *publisher) endings() ends {
	p.mu.Lock()
	defer p.mu.Unlock()
	return ends{last: slices.Clone(p.ended.last), n: p.ended.n}
}
