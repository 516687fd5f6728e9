package dht

import "time"

// Intervals are the periods that may change while a Machine runs. Zero fields stay
// as they are.
type Intervals struct {
	Refresh   time.Duration // Config.RefreshInterval
	Snapshot  time.Duration // Config.SnapshotInterval
	Expire    time.Duration // Config.ExpireInterval
	Republish time.Duration // Config.Republish.Interval
}

// SetIntervals changes periods. What is due later than a new period allows is
// brought forward, published keys spread over their new interval.
func (m *Machine) SetIntervals(now time.Time, i Intervals) {
	u := &m.upkeep
	if i.Refresh > 0 {
		m.cfg.RefreshInterval = i.Refresh
	}
	if i.Snapshot > 0 {
		m.cfg.SnapshotInterval = i.Snapshot
		sooner(&u.snapshot, now.Add(i.Snapshot))
	}
	if i.Expire > 0 {
		m.cfg.ExpireInterval = i.Expire
		sooner(&u.expire, now.Add(i.Expire))
	}
	if i.Republish > 0 {
		m.schedule.SetInterval(i.Republish)
		m.schedule.ClockSetBack(now) // a shorter interval looks the same
	}
}

// sooner moves *at to t if that is earlier; what is not wanted (zero) stays so.
func sooner(at *time.Time, t time.Time) {
	if !at.IsZero() && t.Before(*at) {
		*at = t
	}
}
