package republish

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// disk is what a keystore saves of the schedule, and when each key was last published.
type disk struct {
	due, last map[Item]time.Time
}

func newDisk(t0 time.Time, n int, due time.Time) *disk {
	d := &disk{due: map[Item]time.Time{}, last: map[Item]time.Time{}}
	for i := range n {
		d.due[item(i)], d.last[item(i)] = due, t0.Add(-22*time.Hour)
	}
	return d
}

// run simulates one process from now to end. Each publication takes `took` and saves the
// next due time of its key.
func (d *disk) run(now, end time.Time, took time.Duration) {
	s := New(Config{})
	for it, at := range d.due {
		s.Restore(it, at)
	}
	s.Spread(now)
	var running []Item
	ends := map[Item]time.Time{}
	for ; now.Before(end); now = now.Add(time.Second) {
		for len(running) > 0 && !now.Before(ends[running[0]]) {
			it := running[0]
			running = running[1:]
			d.due[it], d.last[it] = s.Done(now, it, true), now
		}
		for _, it := range s.Due(nil, now) {
			running = append(running, it)
			ends[it] = now.Add(took)
		}
	}
}

// oldest returns the longest time since any key was published.
func (d *disk) oldest(now time.Time) (age time.Duration) {
	for _, at := range d.last {
		age = max(age, now.Sub(at))
	}
	return age
}

// A node that restarts every five minutes, because it crashes or its watchdog kills it,
// lets no key expire: keys that one run does not reach come first in the next.
func TestRestartLoop(t *testing.T) {
	const keys, ttl = 1000, 48 * time.Hour
	d, now := newDisk(t0, keys, t0.Add(-time.Minute)), t0
	for now.Before(t0.Add(72 * time.Hour)) {
		end := now.Add(5 * time.Minute)
		d.run(now, end, 2*time.Second)
		now = end
		if age := d.oldest(now); age >= ttl {
			t.Fatalf("%v after the first start a key was last published %v ago", now.Sub(t0), age)
		}
	}
}

// For runs of any length: if there is time for all keys, no key is left out. A run of
// length d hands out the share d/Spread of the overdue keys, and no more than MaxActive
// allows in that time.
func TestRestartLoopProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.IntRange(1, 60).Draw(t, "keys")
		took := time.Duration(rapid.IntRange(1, 30).Draw(t, "seconds of a publication")) * time.Second
		due := t0.Add(-time.Duration(rapid.IntRange(0, 20*3600).Draw(t, "overdue")) * time.Second)
		d, now := newDisk(t0, keys, due), t0
		var room time.Duration // time for publications, one after another
		for range 1000 {
			if room > 4*time.Duration(keys)*took && now.Sub(t0) > 4*10*time.Minute {
				break
			}
			up := took + time.Duration(rapid.IntRange(1, 900).Draw(t, "seconds up"))*time.Second
			d.run(now, now.Add(up), took)
			room += 8 * (up - took)
			now = now.Add(up + time.Duration(rapid.IntRange(0, 60).Draw(t, "seconds down"))*time.Second)
		}
		for it, last := range d.last {
			if last.Before(t0) {
				t.Fatalf("%v of runs have not published %x, one of %d keys", now.Sub(t0), it.Key[:4], keys)
			}
		}
	})
}
