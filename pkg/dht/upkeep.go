package dht

import (
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/republish"
)

// upkeep holds when the periodic work of the Machine is due. A zero time means that it
// has not started or is not needed.
type upkeep struct {
	maintain  time.Time // liveness, refresh, repair
	expire    time.Time
	snapshot  time.Time
	bootstrap time.Time // end of the time that restored peers have to answer
	lowTable  time.Time // next repair of a low table
	rejoin    time.Time // next of the lookups that follow the first one, see RejoinMin
	moved     time.Time // republication of provider records after a new address
	announced time.Time // the last one

	rejoinPause time.Duration // from the last of these lookups to rejoin
	restoring   int           // restored candidates whose probe has not ended
	refreshing  bool
	lastRefresh time.Time
	lastSelf    time.Time
	saved       int // verified peers at the last snapshot
}

func (u *upkeep) next() time.Time {
	var at time.Time
	for _, t := range []time.Time{u.maintain, u.expire, u.snapshot, u.bootstrap, u.rejoin, u.moved} {
		at = records.Earlier(at, t)
	}
	return at
}

// startUpkeep starts the periodic work. Without a snapshot it asks for the bootstrap
// peers at once; with one, after RestoreGrace if too few peers have answered.
func (m *Machine) startUpkeep(now time.Time) {
	u := &m.upkeep
	u.maintain = now.Add(MaintainInterval)
	u.expire = now.Add(m.cfg.ExpiryInterval)
	u.snapshot = now.Add(m.cfg.SnapshotInterval)
	u.lowTable = now.Add(LowTableInterval)
	u.bootstrap = now.Add(RestoreGrace)
	if u.restoring == 0 {
		m.bootstrapNow()
	}
}

// grown moves the next snapshot forward if the table has grown by a fifth. The first
// peer is saved at once.
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
}

// restoredOne counts the restored peers whose probe has ended. After the last one it asks
// for the bootstrap peers if the table is still low.
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

// Moved reports that this node has an address that its provider records at other peers
// lack. They are republished soon, spread by republish.Schedule.Sooner.
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
	m.lookAgain(now)
	if !u.moved.IsZero() && !u.moved.After(now) {
		u.moved, u.announced = time.Time{}, now
		m.schedule.Sooner(now, republish.Kind(records.KindProvider))
	}
	if due(&u.expire, now, m.cfg.ExpiryInterval) {
		m.out.Expire = true
	}
	if due(&u.snapshot, now, m.cfg.SnapshotInterval) {
		m.out.Snapshot = true
		_, u.saved = m.table.Len()
	}
	if !due(&u.maintain, now, MaintainInterval) {
		return
	}
	m.candidates.failed.expire(now)
	m.probeSilent(now)
	m.repair(now)
	m.refresh(now)
}

// probeSilent probes peers of the table that were silent for long, as long as places are
// free. If more are due, it continues when a place becomes free.
func (m *Machine) probeSilent(now time.Time) {
	room := MaxLiveness - m.inFlight[forLiveness]
	silent := m.table.ProbeDue(nil, now, m.cfg.LivenessInterval, room)
	m.moreSilent = len(silent) == room
	for _, p := range silent {
		m.sendProbe(now, candidate{peer: p}, forLiveness)
	}
}

// repair asks for the bootstrap peers while the table is low, and makes the lookup of the
// own key due.
func (m *Machine) repair(now time.Time) {
	_, verified := m.table.Len()
	if verified >= LowTable || !due(&m.upkeep.lowTable, now, LowTableInterval) {
		return
	}
	m.bootstrapNow()
	m.upkeep.lastSelf = time.Time{}
}

// joined is called when the first peer has answered. It looks up the node's own
// neighbourhood, then fills the buckets, and publishes the keys that are due.
func (m *Machine) joined(now time.Time) {
	u := &m.upkeep
	u.lastSelf = time.Time{}
	u.rejoin, u.rejoinPause = now.Add(RejoinMin), RejoinMin
	m.refresh(now)
	m.publishDue(now)
}

// lookAgain looks the own key up again, if that is due, until the table is no longer low or
// its repair takes over.
func (m *Machine) lookAgain(now time.Time) {
	u := &m.upkeep
	if u.rejoin.IsZero() || u.rejoin.After(now) {
		return
	}
	u.rejoin = time.Time{}
	if _, verified := m.table.Len(); verified >= LowTable {
		return
	}
	u.lastSelf = time.Time{}
	m.refresh(now)
	if u.rejoinPause *= 2; u.rejoinPause <= RejoinMax {
		u.rejoin = now.Add(u.rejoinPause)
	}
}

// refresh runs one round if it is due: the node's own key first, then each bucket that
// was not refreshed for RefreshInterval, one after another. The lookup of the own key
// ends when all of the k nearest have answered. Lookups that end near this node ask it
// for these peers, so it must notice their departure sooner than that of distant peers.
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

// refreshOne looks up one preimage and then continues the round.
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
