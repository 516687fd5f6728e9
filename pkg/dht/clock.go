package dht

import "time"

// clockSlack is how far the wall clock may go back without a reaction. Nothing kept in
// wall time depends on a minute.
const clockSlack = time.Minute

// checkClock detects that the wall clock was set back. The table and the schedule keep
// wall time, 8 bytes each, and would treat old events as recent and due work as not yet
// due. The Machine's own times have monotonic readings.
func (m *Machine) checkClock(now time.Time) {
	wall := now.Round(0)
	if wall.Before(m.wall.Add(-clockSlack)) {
		m.table.ClockSetBack(now)
		m.schedule.ClockSetBack(now)
	}
	m.wall = wall
}
