package dht

import "time"

// clockSlack is how far the wall clock may go back without notice: nothing that a
// minute matters to is kept in wall time.
const clockSlack = time.Minute

// checkClock notices that the wall clock was set back. Table and schedule keep wall
// time, in 8 bytes each; to them everything would seem to have happened just now, or
// not to be due for as long. The Machine's own times have monotonic readings.
func (m *Machine) checkClock(now time.Time) {
	wall := now.Round(0)
	if wall.Before(m.wall.Add(-clockSlack)) {
		m.table.ClockSetBack(now)
		m.schedule.ClockSetBack(now)
	}
	m.wall = wall
}
