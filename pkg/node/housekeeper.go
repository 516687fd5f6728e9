package node

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/republish"
)

// housekeeper does the disk work of the node: one goroutine for published keys,
// one for expiry and snapshots. The loop leaves work in slots and never waits.
type housekeeper struct {
	n       *Node
	done    sync.WaitGroup
	stop    chan struct{}
	publish chan struct{} // capacity 1: there is work for the publisher
	clean   chan struct{} // capacity 1: there is work for the cleaner

	mu      sync.Mutex
	toLoad  []republish.Item // bounded by the schedule's MaxActive
	toNote  []dht.Published  // bounded by the Machine's queries
	toSave  *records.Snapshot
	final   chan<- error
	expiry  bool
	noPeers bool      // the table has none that answers
	saved   time.Time // last successful snapshot, expiry, publication
	expired time.Time
	renewed time.Time
	failed  failures // of publications
	ended   ends     // publications

	// Owned by the publisher.
	renewedHere time.Time // what is overdue for want of peers was stored here anew
}

func newHousekeeper(n *Node) *housekeeper {
	k := &housekeeper{n: n, stop: make(chan struct{}), publish: make(chan struct{}, 1), clean: make(chan struct{}, 1)}
	k.done.Add(2)
	go k.run(k.publish, k.doPublish)
	go k.run(k.clean, k.doClean)
	return k
}

// run does the work signalled by wake; what was asked before close is still done.
func (k *housekeeper) run(wake <-chan struct{}, work func()) {
	defer k.done.Done()
	for {
		select {
		case <-wake:
			work()
		case <-k.stop:
			work()
			return
		}
	}
}

// close ends the goroutines; ErrStuck if the store holds one of them up.
func (k *housekeeper) close() error {
	close(k.stop)
	done := make(chan struct{})
	go func() {
		k.done.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-time.After(closeTimeout):
		return ErrStuck
	}
}

// leave changes the slots under the lock and wakes a goroutine.
func (k *housekeeper) leave(wake chan<- struct{}, change func()) {
	k.mu.Lock()
	change()
	k.mu.Unlock()
	select {
	case wake <- struct{}{}:
	default:
	}
}

func (k *housekeeper) load(items []republish.Item) {
	if len(items) > 0 {
		k.leave(k.publish, func() { k.toLoad = append(k.toLoad, items...) })
	}
}

func (k *housekeeper) published(ps []dht.Published) {
	if len(ps) > 0 {
		k.leave(k.publish, func() { k.toNote = append(k.toNote, ps...) })
	}
}

func (k *housekeeper) alone() { k.leave(k.publish, func() { k.noPeers = true }) }

func (k *housekeeper) expire() { k.leave(k.clean, func() { k.expiry = true }) }

func (k *housekeeper) snapshot(s records.Snapshot) { k.leave(k.clean, func() { k.toSave = &s }) }

// finalSnapshot saves s and tells done.
func (k *housekeeper) finalSnapshot(s records.Snapshot, done chan<- error) {
	k.leave(k.clean, func() { k.toSave, k.final = &s, done })
}

func (k *housekeeper) doPublish() {
	k.mu.Lock()
	load, note, alone := k.toLoad, k.toNote, k.noPeers
	k.toLoad, k.toNote, k.noPeers = nil, nil, false
	k.mu.Unlock()
	each(publishWorkers, note, k.note)
	each(publishWorkers, load, k.loadOne)
	if alone && time.Since(k.renewedHere) >= k.n.renewHereEvery() {
		k.renewedHere = time.Now()
		k.renewHere()
	}
}

// publishWorkers is how many published keys are read, renewed here or noted at once:
// their writes share a commit.
const publishWorkers = 16

// each does something with all items, a few at a time.
func each[T any](workers int, items []T, do func(T)) {
	var g errgroup.Group
	g.SetLimit(workers)
	for _, x := range items {
		g.Go(func() error { do(x); return nil })
	}
	_ = g.Wait() // they report what fails
}

// renewHereEvery is how often the copies here are renewed while nobody is there to
// publish them to: soon enough for those that were due just after the last time.
func (n *Node) renewHereEvery() time.Duration {
	return (min(n.cfg.DefaultValueTTL, n.cfg.ProviderTTL) - n.republishInterval()) / 2
}

// renewHere stores our own copies of overdue published keys anew: without peers the
// schedule hands out none, and they would expire here too. It reads a 256th of the
// keys at a time.
func (k *housekeeper) renewHere() {
	for first := range 256 {
		var due []records.Published
		region := kad.PrefixOf(kad.Key{byte(first)}, 8)
		err := k.n.cfg.Keystore.Range(region, func(p records.Published) bool {
			if !p.Due.After(k.renewedHere) {
				due = append(due, p)
			}
			return true
		})
		for i := range due {
			if k.closing() {
				return
			}
			_, _, e := k.n.renew(&due[i])
			err = errors.Join(err, e)
		}
		if err != nil {
			k.n.log.Error("published keys could not be renewed", "err", err)
			return
		}
	}
}

// note persists how a publication ended.
func (k *housekeeper) note(p dht.Published) {
	var last time.Time
	k.mu.Lock()
	if p.OK {
		last, k.renewed = p.At, p.At
		k.failed.forget(p.Kind, p.Key)
	} else {
		k.failed.add(PublishFailure{Kind: p.Kind, Key: p.Key, At: p.At, Problem: problem(&p)})
	}
	k.mu.Unlock()
	k.n.unannounced.ended(republishItem(uint8(p.Kind), p.Key), p.OK)
	if err := k.n.cfg.Keystore.Done(p.Kind, p.Key, last, p.Due); err != nil {
		k.n.log.Error("the schedule of a published key could not be saved", "kind", p.Kind.String(), "err", err)
	}
}

// loadOne reads a published key that is due, renews the copy here and gives its
// query to the Machine.
func (k *housekeeper) loadOne(it republish.Item) {
	var pub *records.Published
	err := k.n.cfg.Keystore.Range(kad.PrefixOf(it.Key, kad.KeyBits), func(p records.Published) bool {
		if uint8(p.Kind) == it.Kind {
			pub = &p
		}
		return pub == nil
	})
	gone := err == nil && pub == nil
	var q *dht.Query
	if pub != nil {
		if q, gone, err = k.n.renew(pub); err != nil {
			k.mu.Lock()
			k.failed.add(PublishFailure{Kind: pub.Kind, Key: pub.Key, At: time.Now(), Problem: err.Error()})
			k.mu.Unlock()
		}
	}
	if err != nil {
		k.n.log.Error("a published key could not be renewed", "err", err)
	}
	if gone {
		k.n.unannounced.forget(it)
	}
	_ = k.n.do(func(now time.Time, m *dht.Machine) { m.Loaded(now, it, q, gone) })
}

// end returns when a publication ends by itself and why; zero: never.
func (n *Node) end(p *records.Published) (at time.Time, reason string) {
	own := time.Time{}
	if p.Kind == records.KindValue {
		own = n.valid.End(string(p.Key), p.Value)
	}
	if at = records.Earlier(own, p.Until); at.Equal(own) {
		return at, "the record was valid until " + at.UTC().Format(time.RFC3339)
	}
	return at, "it was stored with a lifetime of " + p.TTL.String()
}

// renew stores our own copy of a published record anew and returns the query that
// publishes it; gone if its time is over.
func (n *Node) renew(p *records.Published) (q *dht.Query, gone bool, err error) {
	now := time.Now()
	if end, reason := n.end(p); !end.IsZero() && !now.Before(end) {
		level := slog.LevelWarn
		if end.Equal(p.Until) { // as whoever stored it wanted
			level = slog.LevelInfo
		}
		n.log.Log(n.ctx, level, "a key is not published any more", "kind", p.Kind.String(), "key", fmt.Sprintf("%.64q", p.Key), "reason", reason)
		n.keeper.noteEnd(PublishEnd{Kind: p.Kind, Key: p.Key, At: end, Reason: reason})
		return nil, true, n.cfg.Keystore.Unpublish(p.Kind, p.Key)
	}
	if p.Kind == records.KindProvider {
		_, err := n.provideHere(p.Key)
		found := n.provideQuery(p.Key)
		return &found, n.takenBack(p), err
	}
	v := n.publishedValue(p, now)
	if err = n.cfg.Store.PutValue(now, v, n.valid.improves); noRoom(err) {
		err = nil
	}
	if n.takenBack(p) {
		return nil, true, err
	}
	if errors.Is(err, records.ErrOlder) { // a newer one came from the network
		return &dht.Query{Kind: dht.StoreValue, Key: p.Key, Value: n.current(v)}, false, nil
	}
	return &dht.Query{Kind: dht.StoreValue, Key: p.Key, Value: v}, false, err
}

// takenBack reports whether a key was unpublished while it was being renewed. It
// then takes back what the renewal has stored here after that.
func (n *Node) takenBack(p *records.Published) bool {
	if _, err := n.cfg.Keystore.Load(p.Kind, p.Key); !errors.Is(err, records.ErrNotFound) {
		return false
	}
	if p.Kind == records.KindProvider {
		_ = n.cfg.Store.RemoveProvider(time.Now(), p.Key, n.self.ID) // if it is there
	} else {
		_ = n.cfg.Store.DeleteValue(p.Key)
	}
	return true
}

// current is the value stored here under v's key, v if it cannot be read.
func (n *Node) current(v records.Value) records.Value {
	held, err := n.localValue(v.Key)
	if err != nil || held.Value == nil {
		return v
	}
	held.Ends = n.valid.End(string(v.Key), held.Value)
	held.Expires = records.Earlier(v.Expires, held.Ends)
	return held
}

// noteEnd notes a publication that is over.
func (k *housekeeper) noteEnd(x PublishEnd) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.failed.forget(x.Kind, x.Key)
	k.ended.add(x)
}

func (k *housekeeper) doClean() {
	k.mu.Lock()
	save, final, expiry := k.toSave, k.final, k.expiry
	k.toSave, k.final, k.expiry = nil, nil, false
	k.mu.Unlock()
	if save != nil {
		err := k.save(*save)
		if final != nil {
			final <- err
		}
	}
	if expiry {
		k.runExpiry()
	}
}

func (k *housekeeper) save(s records.Snapshot) error {
	start := time.Now()
	err := k.n.cfg.Snapshots.SaveSnapshot(s)
	k.n.cfg.Housekeeping.Snapshot(time.Since(start), len(s.Peers), err)
	if err != nil {
		k.n.log.Error("snapshot could not be saved", "err", err)
		return err
	}
	k.mu.Lock()
	k.saved = start
	k.mu.Unlock()
	return nil
}

// runExpiry removes what is due, in steps, and stops between steps if the node
// does.
func (k *housekeeper) runExpiry() {
	start := time.Now()
	var total records.Expired
	for {
		step, err := k.n.cfg.Store.Expire(time.Now())
		for kind := range total.Records {
			total.Records[kind] += step.Records[kind]
		}
		if err != nil {
			k.n.cfg.Housekeeping.Expired(time.Since(start), total, err)
			k.n.log.Error("expired records could not be removed", "err", err)
			return
		}
		if !step.More || k.hurry() {
			break
		}
	}
	k.n.cfg.Housekeeping.Expired(time.Since(start), total, nil)
	k.mu.Lock()
	k.expired = start
	k.mu.Unlock()
}

// hurry reports whether the node is closing: the rest can expire after the next
// start.
func (k *housekeeper) hurry() bool {
	k.mu.Lock()
	final := k.final != nil
	k.mu.Unlock()
	return final || k.closing()
}

func (k *housekeeper) closing() bool {
	select {
	case <-k.stop:
		return true
	default:
		return false
	}
}

// last returns when snapshot, expiry and republishing last succeeded.
func (k *housekeeper) last() (saved, expired, renewed time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.saved, k.expired, k.renewed
}

// failures returns the published keys that were not published when last tried.
func (k *housekeeper) failures() []PublishFailure {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.failed)
}

// endings returns the last publications that ended by themselves, and their number.
func (k *housekeeper) endings() ends {
	k.mu.Lock()
	defer k.mu.Unlock()
	return ends{last: slices.Clone(k.ended.last), n: k.ended.n}
}

// snapshotAge is after how many intervals an unchanged table is saved again, for
// the times its peers were last heard from.
const snapshotAge = 10

// snapshotDue reports whether the table is worth saving: it has a peer that
// answers, so that an outage does not overwrite the last good snapshot, and it
// has changed or the last snapshot is old.
func (n *Node) snapshotDue() bool {
	t := n.machine.Table()
	if _, verified := t.Len(); verified == 0 {
		return false
	}
	n.snapshotsSkipped++
	return t.Generation() != n.savedGeneration || n.own.dirty || n.snapshotsSkipped >= snapshotAge
}

// takeSnapshot collects the table's peers, nearest buckets first.
func (n *Node) takeSnapshot(now time.Time) records.Snapshot {
	n.savedGeneration, n.snapshotsSkipped = n.machine.Table().Generation(), 0
	s := records.Snapshot{Taken: now, Own: n.own.saved()}
	for e := range n.machine.Table().Entries {
		c := n.book.contacts[e.Peer.ID]
		if c == nil || len(c.addrs) == 0 {
			continue
		}
		s.Peers = append(s.Peers, records.SnapshotPeer{
			ID: e.Peer.ID, Addrs: slices.Clone(c.addrs), LastVerified: e.LastSeen, RTT: c.rtt, Scope: c.scope,
		})
		if len(s.Peers) == records.MaxSnapshotPeers {
			break
		}
	}
	return s
}
