package dht

import (
	"bytes"
	"errors"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/wire"
	"github.com/holdfast-dht/holdfast/republish"
)

// store sends the record of a storing query to its closest peers.
func (m *Machine) store(now time.Time, q *query, closest []kad.Peer) {
	q.targets = closest
	switch q.Kind {
	case StoreProvider:
		q.storeMsg = &wire.Message{Type: wire.AddProvider, Key: q.Key, ProviderPeers: []wire.Peer{q.Provider}}
	default:
		ttl, ok := records.RemainingSeconds(now, q.Value.Expires)
		if !ok {
			q.targets = nil // it expires within a second: not worth storing
		}
		q.storeMsg = &wire.Message{Type: wire.PutValue, Key: q.Key, Record: &wire.Record{
			Key: q.Key, Value: q.Value.Value, Publisher: q.Value.Publisher, TTL: ttl,
		}}
	}
	m.storeMore(now, q)
}

// storeMore sends to the remaining targets as long as places are free, and ends the
// query after the last answer.
func (m *Machine) storeMore(now time.Time, q *query) {
	for len(q.targets) > 0 {
		if !m.room(forQuery) {
			m.block(q)
			return
		}
		to := q.targets[0]
		q.targets = q.targets[1:]
		q.sent++
		if p := m.paceOf(to.ID); p != nil && q.Kind == StoreProvider {
			m.await(now, p, announcement{query: q, msg: q.storeMsg})
			continue
		}
		m.send(now, &request{role: RoleStore, to: to, query: q}, q.storeMsg)
	}
	if len(q.requests) == 0 && (q.paced == 0 || q.storedAt >= EnoughHolders(q.sent)) {
		m.finish(now, q, q.outcome())
	}
}

// stored handles the answer to a store request.
func (m *Machine) stored(now time.Time, r *request, resp *Response) {
	m.atPace(r)
	if r.query == nil { // the query ended before this announcement was sent
		return
	}
	r.query.trace.answered(now, r, resp, 0)
	r.query.storedAt++
	m.storeMore(now, r.query)
}

// notStored handles the failure of a store request.
func (m *Machine) notStored(now time.Time, r *request, err error) {
	if errors.Is(err, ErrLimited) {
		m.limited(now, r.to, announcementOf(r))
	} else {
		m.suspect(now, r.to, err)
	}
	if r.query == nil {
		return
	}
	r.query.lastErr = err
	r.query.trace.failed(now, r, err)
	m.storeMore(now, r.query)
}

// correct sends the best value to those of the closest peers that answered without a
// value or with a worse one (entry correction). It leaves a different value that Select
// does not call worse, because that one may be newer.
func (m *Machine) correct(now time.Time, found *query, closest []kad.Peer) {
	var outdated []kad.Peer
	for _, p := range closest {
		if m.outdated(found, p.Key) {
			outdated = append(outdated, p)
		}
	}
	if len(outdated) == 0 || m.queries.len() >= MaxQueries {
		return
	}
	q := m.newQuery(now, Query{Kind: Correct, Key: found.Key, Value: found.best})
	q.silent, q.storing = true, true
	m.store(now, q, outdated)
}

func (m *Machine) outdated(found *query, peer kad.Key) bool {
	for _, h := range found.held {
		if h.peer == peer {
			return !bytes.Equal(h.value, found.best.Value) && m.cfg.Select(found.Key, h.value, found.best.Value)
		}
	}
	return true
}

// Scheduled adds a published key to the schedule, due at the given time. With restored,
// due is the saved time, and Restored spreads the overdue keys.
func (m *Machine) Scheduled(now time.Time, it republish.Item, due time.Time, restored bool) {
	if restored {
		m.schedule.Restore(it, due)
		return
	}
	m.schedule.Add(now, it, due)
}

// Unscheduled removes a published key from the schedule.
func (m *Machine) Unscheduled(it republish.Item) { m.schedule.Remove(it) }

// RepublishAll makes every published key due now.
func (m *Machine) RepublishAll(now time.Time) {
	m.schedule.MakeAllDue(now)
	m.publishDue(now)
}

// publishDue asks the driver to load the keys that are due, while the table has a
// verified peer to store them at.
func (m *Machine) publishDue(now time.Time) {
	if _, verified := m.table.Len(); verified > 0 {
		m.out.Load = m.schedule.Due(m.out.Load, now)
	}
}

// scheduleDeadline returns when the schedule needs a Tick; zero while no peer is
// verified.
func (m *Machine) scheduleDeadline() time.Time {
	if _, verified := m.table.Len(); verified == 0 {
		return time.Time{}
	}
	at, ok := m.schedule.Deadline()
	if !ok {
		return time.Time{}
	}
	return at
}

// Loaded gives the query that publishes an item of Output.Load. It is nil if the key no
// longer exists (gone is true) or could not be read (gone is false). Loaded is ignored if
// the item was unscheduled meanwhile.
func (m *Machine) Loaded(now time.Time, it republish.Item, q *Query, gone bool) {
	switch {
	case gone:
		m.schedule.Gone(it)
	case !m.schedule.Active(it):
	case q == nil || m.queries.len() >= MaxQueries:
		m.schedule.Done(now, it, false)
	default:
		q.Publish = &it
		x := m.newQuery(now, *q)
		x.silent, x.loaded = true, true
		m.begin(now, x)
	}
}

// takeOver makes the schedule publish a key soon whose caller failed or gave up, unless
// it was unscheduled meanwhile.
func (m *Machine) takeOver(now time.Time, it republish.Item) {
	if _, scheduled := m.schedule.DueAt(it); scheduled {
		m.schedule.Add(now, it, now.Add(PublishRetry))
	}
}

// publishDone sets the next due time and reports it for the keystore. A publication that
// too few peers stored is not done: it is tried again.
func (m *Machine) publishDone(now time.Time, q *query, o QueryOutcome) {
	asked := q.sent + len(q.targets) // targets not reached in time count too
	ok := o == OutcomeOK && q.storedAt >= EnoughHolders(asked)
	due, scheduled := m.schedule.DueAt(*q.Publish)
	m.schedule.Held(*q.Publish, q.storedAt)
	if !q.loaded && !ok {
		m.takeOver(now, *q.Publish)
	}
	next := m.schedule.Done(now, *q.Publish, ok)
	if q.Kind == StoreValue && q.Value.Expires.After(now) && q.Value.Expires.Before(next) {
		next = q.Value.Expires // it expires before it would be due again
		m.schedule.Add(now, *q.Publish, next)
	}
	kind := records.KindValue
	if q.Kind == StoreProvider {
		kind = records.KindProvider
	}
	var lag time.Duration
	if scheduled && q.started.After(due) {
		lag = q.started.Sub(due)
	}
	m.cfg.Observer.Republished(kind, ok, q.storedAt, lag)
	if !next.IsZero() {
		m.out.Published = append(m.out.Published, Published{Kind: kind, Key: q.Key, OK: ok, Asked: asked, Holders: q.storedAt, At: now, Due: next})
	}
}
