package dht

import (
	"bytes"
	"slices"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// pace is a peer that limits how many announcements it accepts, with the announcements
// that wait for it. They are sent one at a time, new ones before refused ones. A
// publication waits for its announcements only until enough peers have stored it; the
// others are still sent later.
type pace struct {
	id      uint64
	peer    kad.Peer
	next    time.Time     // when the next one may be sent
	pause   time.Duration // after a refusal
	waiting []announcement
}

// announcement is an ADD_PROVIDER to a peer that limits how many it accepts.
type announcement struct {
	query *query // may have ended
	msg   *wire.Message
	tries int // how often it was sent
}

// paceOf returns the pace of a peer, nil if it is not known to limit us.
func (m *Machine) paceOf(id kad.PeerID) *pace {
	return m.findPace(func(p *pace) bool { return p.peer.ID == id })
}

func (m *Machine) paceByID(id uint64) *pace {
	return m.findPace(func(p *pace) bool { return p.id == id })
}

func (m *Machine) findPace(is func(*pace) bool) *pace {
	if i := slices.IndexFunc(m.paces, is); i >= 0 {
		return m.paces[i]
	}
	return nil
}

// limited queues an announcement that its peer has refused, to be sent again later. It
// gives up if the announcement was sent PaceTries times or too many wait.
func (m *Machine) limited(now time.Time, to kad.Peer, a announcement) {
	p := m.paceOf(to.ID)
	if p == nil {
		if len(m.paces) >= MaxPacedPeers {
			return
		}
		m.lastPace++
		p = &pace{id: m.lastPace, peer: to, pause: PacePause}
		m.paces = append(m.paces, p)
	} else if a.tries > 1 { // the pace was too fast
		p.pause = min(2*p.pause, MaxPacePause)
	}
	m.paceUntil(p, now.Add(p.pause))
	if a.tries < PaceTries {
		m.await(now, p, a)
	}
}

// paceUntil puts off the next announcement to a peer.
func (m *Machine) paceUntil(p *pace, next time.Time) {
	if next.After(p.next) {
		p.next = next
		m.timers.push(timer{at: next, kind: timerPace, id: p.id})
	}
}

// await queues an announcement for its peer unless too many wait. It replaces an older
// one of the same key whose query has ended.
func (m *Machine) await(now time.Time, p *pace, a announcement) {
	older := func(b announcement) bool { return b.query.over && bytes.Equal(b.msg.Key, a.msg.Key) }
	switch i := slices.IndexFunc(p.waiting, older); {
	case i >= 0:
		p.waiting[i] = a
	case len(p.waiting) >= MaxPaced:
		a.query.lastErr = ErrLimited
		return
	default:
		p.waiting = append(p.waiting, a)
	}
	a.query.paced++
	if !p.next.After(now) { // the timer of p.next has fired
		m.timers.push(timer{at: now, kind: timerPace, id: p.id})
	}
}

// paced sends the announcement that has waited longest for a peer. A peer without
// waiting announcements for a whole pause is forgotten.
func (m *Machine) paced(now time.Time, p *pace) {
	if p.next.After(now) {
		return // there is another timer
	}
	idle := p.next.Add(p.pause)
	a, ok := m.nextAnnouncement(p)
	switch {
	case ok:
		m.sendPaced(now, p, a)
		m.paceUntil(p, now.Add(PaceInterval))
	case len(p.waiting) > 0:
		m.paceUntil(p, now.Add(PaceInterval))
	case now.Before(idle):
		m.timers.push(timer{at: idle, kind: timerPace, id: p.id})
	default:
		m.paces = slices.DeleteFunc(m.paces, func(x *pace) bool { return x == p })
	}
}

// nextAnnouncement removes and returns the first one that is still needed: its query
// waits for it, or has ended and its key is still published. It returns none while no
// request may be sent.
func (m *Machine) nextAnnouncement(p *pace) (a announcement, ok bool) {
	for len(p.waiting) > 0 && m.room(forQuery) {
		a = p.waiting[0]
		p.waiting = slices.Delete(p.waiting, 0, 1)
		a.query.paced--
		if !a.query.over {
			return a, true
		}
		if it := a.query.Publish; it != nil {
			if _, published := m.schedule.DueAt(*it); published {
				return a, true
			}
		}
	}
	return announcement{}, false
}

func (m *Machine) sendPaced(now time.Time, p *pace, a announcement) {
	a.tries++
	r := &request{role: RoleStore, to: p.peer, query: a.query, paced: &a}
	if a.query.over {
		r.query = nil
	}
	m.send(now, r, a.msg)
}

// announcementOf returns the announcement that a request carried.
func announcementOf(r *request) announcement {
	if r.paced != nil {
		return *r.paced
	}
	return announcement{query: r.query, msg: r.query.storeMsg, tries: 1}
}

// atPace records that a peer has accepted an announcement at its pace.
func (m *Machine) atPace(r *request) {
	if r.paced == nil {
		return
	}
	if p := m.paceOf(r.to.ID); p != nil {
		p.pause = PacePause
	}
}
