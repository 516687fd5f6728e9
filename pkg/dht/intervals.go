package dht

import "time"

// Intervals are the periods that may change while a Machine runs. A zero field changes
// nothing.
type Intervals struct {
	Refresh   time.Duration // Config.RefreshInterval
	Snapshot  time.Duration // Config.SnapshotInterval
	Expiry    time.Duration // Config.ExpiryInterval
	Republish time.Duration // Config.Republish.Interval
}

// SetIntervals changes periods. Work that is due later than a new period allows is
// moved forward; published keys are spread over their new interval.
func (m *Machine) SetIntervals(now time.Time, i Intervals) {
	u := &m.upkeep
	if i.Refresh > 0 {
		m.cfg.RefreshInterval = i.Refresh
	}
	if i.Snapshot > 0 {
		m.cfg.SnapshotInterval = i.Snapshot
		sooner(&u.snapshot, now.Add(i.Snapshot))
	}
	if i.Expiry > 0 {
		m.cfg.ExpiryInterval = i.Expiry
		sooner(&u.expire, now.Add(i.Expiry))
	}
	if i.Republish > 0 {
		m.schedule.SetInterval(i.Republish)
		m.schedule.ClockSetBack(now) // a shorter interval has the same effect
	}
}

// sooner moves *at to t if that is earlier. A zero *at, which means never, stays zero.
func sooner(at *time.Time, t time.Time) {
	if !at.IsZero() && t.Before(*at) {
		*at = t
	}
}
