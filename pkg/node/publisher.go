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

// publisher does the disk work for published keys: it reads keys that are due, renews the
// own copies of their records, and saves the outcome of publications. Its slots are safe
// for concurrent use.
type publisher struct {
	worker
	n *Node

	mu      sync.Mutex
	toLoad  []republish.Item // at most the schedule's MaxActive
	toNote  []dht.Published  // at most dht.MaxQueries
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

// load makes the publisher read and renew keys that are due.
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

// noPeers makes the publisher renew the own copies of overdue keys, because no peer
// answers.
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

// publishWorkers limits the keys that the publisher works on concurrently: their writes
// share a commit.
const publishWorkers = 16

// renewHereEvery is how often the own copies are renewed while there is no peer to publish
// to. It is short enough that a key due just after one run does not expire before the next.
func (n *Node) renewHereEvery() time.Duration {
	return (min(n.cfg.DefaultValueTTL, n.cfg.ProviderTTL) - n.republishInterval()) / 2
}

// renewHere renews the own copies of overdue keys. Without peers the schedule hands out no
// keys, so these copies would expire. It reads a 256th of the keys at a time.
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

// note saves the outcome of a publication.
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
		p.n.log.Error("due time of a published key could not be saved", "kind", x.Kind.String(), "err", err)
	}
}

// loadOne reads a published key that is due, renews the own copy and passes the query that
// publishes it to the Machine.
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
		p.n.log.Error("published key could not be renewed", "err", err)
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

// lastRenewed returns when a publication last succeeded.
func (p *publisher) lastRenewed() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.renewed
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
