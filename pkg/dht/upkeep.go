package dht

import (
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/republish"
)

// upkeep is when the periodic work of the Machine is due. Zero times: not
// started, or not wanted.
type upkeep struct {
	maintain  time.Time // liveness, refresh, repair
	expire    time.Time
	snapshot  time.Time
	bootstrap time.Time // restored peers had their chance until then
	lowTable  time.Time // next repair of a low table
	moved     time.Time // what we provide is announced again
	announced time.Time // when it last was because of that

	restoring   int // restored candidates without a verdict
	refreshing  bool
	lastRefresh time.Time
	lastSelf    time.Time
	saved       int // verified peers when the snapshot was last due
}

func (u *upkeep) next() time.Time {
	var at time.Time
	for _, t := range []time.Time{u.maintain, u.expire, u.snapshot, u.bootstrap, u.moved} {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	return at
}

// startUpkeep begins periodic work. Without a snapshot the bootstrap peers are
// wanted at once, with one after RestoreGrace if too few have answered.
func (m *Machine) startUpkeep(now time.Time) {
	u := &m.upkeep
	u.maintain = now.Add(MaintainInterval)
	u.expire = now.Add(m.cfg.ExpireInterval)
	u.snapshot = now.Add(m.cfg.SnapshotInterval)
	u.lowTable = now.Add(LowTableInterval)
	u.bootstrap = now.Add(RestoreGrace)
	if u.restoring == 0 {
		m.bootstrapNow()
	}
}

// grown brings the next snapshot forward if the table has grown by a fifth; the
// first peer is saved at once.
func (m *Machine) grown(now time.Time) {
	u := &m.upkeep
	if _, verified := m.table.Len(); 5*verified < 6*u.saved || u.snapshot.IsZero() {
		return
	}
	soon := now
	if u.saved > 0 {
		soon = now.Add(SnapshotSoon)
	}
	if soon.Before(u.snapshot) {
		u.snapshot = soon
	}
}

func (m *Machine) bootstrapNow() {
	m.upkeep.bootstrap = time.Time{}
	m.out.Bootstrap = true
	m.cfg.Observer.Bootstrapped()
}

// restoredOne counts the verdicts on restored peers; after the last one the
// bootstrap peers are asked if the table is still low.
func (m *Machine) restoredOne(restored bool) {
	if !restored {
		return
	}
	m.upkeep.restoring--
	if m.upkeep.restoring == 0 {
		m.checkRestored()
	}
}

func (m *Machine) checkRestored() {
	if m.upkeep.bootstrap.IsZero() {
		return
	}
	m.upkeep.bootstrap = time.Time{}
	if _, verified := m.table.Len(); verified < LowTable {
		m.bootstrapNow()
	}
}

// Moved tells that this node has an address that the records of what it provides do not
// name. They are announced again soon, spread as republish.Schedule.Sooner says.
func (m *Machine) Moved(now time.Time) {
	u := &m.upkeep
	if !u.moved.IsZero() {
		return
	}
	u.moved = now.Add(MovedSettle)
	if first := u.announced.Add(MovedInterval); u.moved.Before(first) {
		u.moved = first
	}
}

// due reports whether *at has come and moves it to the next interval.
func due(at *time.Time, now time.Time, every time.Duration) bool {
	if at.IsZero() || at.After(now) {
		return false
	}
	*at = now.Add(every)
	return true
}

// maintain does the periodic work that is due.
func (m *Machine) maintain(now time.Time) {
	u := &m.upkeep
	if !u.bootstrap.IsZero() && !u.bootstrap.After(now) {
		m.checkRestored()
	}
	if !u.moved.IsZero() && !u.moved.After(now) {
		u.moved, u.announced = time.Time{}, now
		m.schedule.Sooner(now, republish.Kind(records.KindProvider))
	}
	if due(&u.expire, now, m.cfg.ExpireInterval) {
		m.out.Expire = true
	}
	if due(&u.snapshot, now, m.cfg.SnapshotInterval) {
		m.out.Snapshot = true
		_, u.saved = m.table.Len()
	}
	if !due(&u.maintain, now, MaintainInterval) {
		return
	}
	m.candidates.rejects.expire(now)
	m.probeSilent(now)
	m.repair(now)
	m.refresh(now)
}

// probeSilent probes peers of the table that were silent for long, as far as there is
// room. If more are due, it goes on when a place comes free.
func (m *Machine) probeSilent(now time.Time) {
	room := MaxLiveness - m.inFlight[forLiveness]
	silent := m.table.ProbeDue(nil, now, m.cfg.LivenessInterval, room)
	m.moreSilent = len(silent) == room
	for _, p := range silent {
		m.sendProbe(now, candidate{peer: p}, forLiveness)
	}
}

// repair looks for more peers while the table is low.
func (m *Machine) repair(now time.Time) {
	_, verified := m.table.Len()
	if verified >= LowTable || !due(&m.upkeep.lowTable, now, LowTableInterval) {
		return
	}
	m.bootstrapNow()
	m.upkeep.lastSelf = time.Time{}
}

// joined is called when the first peer has answered: find our neighbourhood,
// then fill the buckets, and publish what waited for company.
func (m *Machine) joined(now time.Time) {
	m.upkeep.lastSelf = time.Time{}
	m.refresh(now)
	m.publishDue(now)
}

// refresh runs one round if it is due: our own key first, then each bucket not
// looked at for RefreshInterval, one after another. Our own key is looked up until
// all of our k nearest have answered: it is we whom every lookup near us asks for
// them, so we must know which of them are gone sooner than of peers far away.
func (m *Machine) refresh(now time.Time) {
	u := &m.upkeep
	_, verified := m.table.Len()
	if u.refreshing || verified == 0 || m.queries.len() >= MaxQueries {
		return
	}
	if u.lastSelf.IsZero() || now.Sub(u.lastSelf) >= min(SelfInterval, m.cfg.RefreshInterval) {
		u.lastSelf = now
		m.refreshOne(now, []byte(m.cfg.Self.ID))
		return
	}
	for _, cpl := range m.table.RefreshDue(now, m.cfg.RefreshInterval) {
		m.table.Refreshed(cpl, now)
		m.refreshOne(now, m.cfg.Preimage(m.cfg.Rand, kad.BucketPrefix(m.cfg.Self.Key, cpl)))
		return
	}
}

// refreshOne looks up one preimage and goes on with the round.
func (m *Machine) refreshOne(now time.Time, preimage []byte) {
	m.upkeep.refreshing = true
	q := m.newQuery(now, Query{Kind: Refresh, Key: preimage})
	q.silent = true
	q.after = func(now time.Time, o QueryOutcome) {
		m.upkeep.refreshing = false
		m.upkeep.lastRefresh = now
		m.cfg.Observer.Refreshed(o == OutcomeOK)
		m.spare = q.lookup
		m.refresh(now)
		m.spare = nil
	}
	m.begin(now, q)
}
