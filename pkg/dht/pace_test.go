package dht

import (
	"container/heap"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/wire"
	"github.com/holdfast-dht/holdfast/republish"
)

// limiter is a server that accepts limit announcements in each window, as py-libp2p 0.8.1
// does. A window begins with the first announcement after the last window.
type limiter struct {
	limit  int
	window time.Duration
	since  time.Time
	taken  int // in this window
	total  int
	over   int                  // refused
	keys   map[string]time.Time // when they were first stored
}

func (l *limiter) take(now time.Time, key string) bool {
	if now.Sub(l.since) >= l.window {
		l.since, l.taken = now, 0
	}
	if l.limit > 0 && l.taken >= l.limit {
		l.over++
		return false
	}
	l.taken++
	l.total++
	if _, ok := l.keys[key]; !ok {
		l.keys[key] = now
	}
	return true
}

// pacedWorld drives a Machine against limiters in virtual time: each request takes 20 ms.
type pacedWorld struct {
	m       *Machine
	now     time.Time
	servers map[kad.PeerID]*limiter
	answers answers
}

type answer struct {
	at   time.Time
	send Send
}

type answers []answer

func (a answers) Len() int           { return len(a) }
func (a answers) Less(i, j int) bool { return a[i].at.Before(a[j].at) }
func (a answers) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *answers) Push(x any)        { *a = append(*a, x.(answer)) }
func (a *answers) Pop() any {
	x := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return x
}

func newPacedWorld(limits ...int) *pacedWorld {
	w := &pacedWorld{now: start, servers: map[kad.PeerID]*limiter{}}
	w.m = New(Config{Self: kad.NewPeer("self")})
	var peers []kad.Peer
	for i, limit := range limits {
		p := kad.NewPeer(kad.PeerID(fmt.Sprintf("peer %d", i)))
		w.servers[p.ID] = &limiter{limit: limit, window: 10 * time.Second, keys: map[string]time.Time{}}
		peers = append(peers, p)
	}
	w.m.Restored(w.now, peers)
	return w
}

// run lets time pass until the given time.
func (w *pacedWorld) run(until time.Time) {
	for {
		w.perform(w.m.Take())
		at, ok := w.m.Deadline()
		if len(w.answers) > 0 && (!ok || w.answers[0].at.Before(at)) {
			at, ok = w.answers[0].at, true
		}
		if !ok || at.After(until) {
			w.now = until
			return
		}
		w.now = at
		for len(w.answers) > 0 && !w.answers[0].at.After(w.now) {
			w.answer(heap.Pop(&w.answers).(answer).send)
		}
		w.m.Tick(w.now)
	}
}

func (w *pacedWorld) perform(out Output) {
	for _, s := range out.Send {
		heap.Push(&w.answers, answer{at: w.now.Add(20 * time.Millisecond), send: s})
	}
	for _, it := range out.Load {
		q := &Query{Kind: StoreProvider, Key: []byte(keyNames[it.Key])}
		w.m.Loaded(w.now, it, q, false)
		w.perform(w.m.Take())
	}
}

func (w *pacedWorld) answer(s Send) {
	switch {
	case s.Message.Type != wire.AddProvider:
		w.m.Responded(w.now, s.ID, Response{Message: &wire.Message{}})
	case w.servers[s.To.ID].take(w.now, string(s.Message.Key)):
		w.m.Responded(w.now, s.ID, Response{})
	default:
		w.m.Failed(w.now, s.ID, errors.Join(ErrLimited, errors.New("reset")))
	}
}

// keyNames returns the preimage of a key of these tests.
var keyNames = map[kad.Key]string{}

func (w *pacedWorld) publish(n int) {
	for i := range n {
		name := fmt.Sprintf("key %d", i)
		it := republish.Item{Key: kad.KeyOf([]byte(name)), Kind: uint8(records.KindProvider)}
		keyNames[it.Key] = name
		w.m.Scheduled(w.now, it, w.now, false)
	}
}

// A peer that accepts 10 announcements in 10 s gets all 40 in about that time. It refuses
// only those that were in flight before the Machine knew of its limit.
func TestPacedPeerGetsAll(t *testing.T) {
	w := newPacedWorld(10)
	w.run(start.Add(time.Second))
	w.publish(40)
	w.run(start.Add(50 * time.Second))
	require.Len(t, w.servers["peer 0"].keys, 40)
	require.LessOrEqual(t, w.servers["peer 0"].over, 8, "keys in work at once")
	require.Zero(t, w.m.Schedule().Stats(w.now).Overdue)
	require.Zero(t, w.m.Queries())
}

// A refused announcement queues behind those that were never sent.
func TestPacedRefusedGoesLast(t *testing.T) {
	w := newPacedWorld()
	peer := kad.NewPeer("limits")
	announce := func(key string, tries int) announcement {
		msg := &wire.Message{Key: []byte(key)}
		return announcement{query: &query{storeMsg: msg}, msg: msg, tries: tries}
	}
	w.m.limited(w.now, peer, announce("refused", 1))
	p := w.m.paceOf(peer.ID)
	w.m.await(w.now, p, announce("second", 0))
	w.m.await(w.now, p, announce("third", 0))
	again, ok := w.m.nextAnnouncement(p)
	require.True(t, ok)
	again.tries++
	w.m.limited(w.now, peer, again)
	var order []string
	for a, ok := w.m.nextAnnouncement(p); ok; a, ok = w.m.nextAnnouncement(p) {
		order = append(order, string(a.msg.Key))
	}
	require.Equal(t, []string{"second", "third", "refused"}, order)
}

// With any number of keys, the peer stores as many as it accepts in the time.
func TestPacedPeerStarvesNoKey(t *testing.T) {
	w := newPacedWorld(10)
	w.run(start.Add(time.Second))
	w.publish(2000)
	w.run(start.Add(time.Hour))
	require.Len(t, w.servers["peer 0"].keys, 2000)
}

// A peer that limits announcements does not delay the others. It gets as many as it
// accepts, and the queue of waiting announcements is limited.
func TestPacedPeerHoldsUpNobody(t *testing.T) {
	w := newPacedWorld(10, 0, 0)
	w.run(start.Add(time.Second))
	w.publish(1000)
	w.run(start.Add(10 * time.Second))
	require.Len(t, w.servers["peer 1"].keys, 1000)
	require.Len(t, w.servers["peer 2"].keys, 1000)
	require.Equal(t, MaxPaced, len(w.m.paces[0].waiting))
	for _, a := range w.m.paces[0].waiting {
		require.True(t, a.query.over)
		require.Nil(t, a.query.lookup, "it would take up memory for minutes")
	}
	w.run(start.Add(15 * time.Minute))
	require.GreaterOrEqual(t, len(w.servers["peer 0"].keys), MaxPaced)
	require.Empty(t, w.m.paces, "it is forgotten when nothing waits")
}

// The queue does not announce keys that are no longer published.
func TestPacedAnnouncementIsTakenBack(t *testing.T) {
	w := newPacedWorld(10, 0)
	w.run(start.Add(time.Second))
	w.publish(40)
	w.run(start.Add(2 * time.Second))
	require.Len(t, w.servers["peer 1"].keys, 40)
	for k := range keyNames {
		w.m.Unscheduled(republish.Item{Key: k, Kind: uint8(records.KindProvider)})
	}
	w.run(start.Add(10 * time.Minute))
	require.Len(t, w.servers["peer 0"].keys, 10)
}

// Announcements to limiting peers beyond MaxPacedPeers count as refused, and the peers
// are not remembered.
func TestPacedPeersAreBounded(t *testing.T) {
	w := newPacedWorld()
	q := &query{storeMsg: &wire.Message{}}
	for i := range MaxPacedPeers + 1 {
		w.m.limited(w.now, kad.NewPeer(kad.PeerID(fmt.Sprint(i))), announcement{query: q, msg: q.storeMsg, tries: 1})
	}
	require.Len(t, w.m.paces, MaxPacedPeers)
	require.Equal(t, MaxPacedPeers, q.paced)
}

// An announcement is sent PaceTries times and then given up.
func TestPaceTries(t *testing.T) {
	w := newPacedWorld()
	peer, q := kad.NewPeer("limits"), &query{storeMsg: &wire.Message{}}
	tries := 0
	for a, ok := (announcement{query: q, msg: q.storeMsg}), true; ok; a, ok = w.m.nextAnnouncement(w.m.paceOf(peer.ID)) {
		tries++
		a.tries++
		w.m.limited(w.now, peer, a)
	}
	require.Equal(t, PaceTries, tries)
	require.Zero(t, q.paced)
}

// The pause doubles with each refusal at the pace, up to its bound.
func TestMaxPacePause(t *testing.T) {
	w := newPacedWorld()
	peer, q := kad.NewPeer("limits"), &query{storeMsg: &wire.Message{}}
	for _, want := range []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second, MaxPacePause, MaxPacePause} {
		w.m.limited(w.now, peer, announcement{query: q, msg: q.storeMsg, tries: 2})
		require.Equal(t, want, w.m.paceOf(peer.ID).pause)
	}
}

// A publication whose lookup took all of its time does not wait forever for a peer that
// limits announcements.
func TestPacedPeerAfterASlowLookup(t *testing.T) {
	m := settled(t, 30)
	id, err := m.Start(start, Query{Kind: StoreProvider, Key: []byte("key")})
	require.NoError(t, err)
	q, sent := m.queries.find(id), m.Take().Send[0]
	m.Responded(start, sent.ID, Response{Message: &wire.Message{}})
	m.paces = append(m.paces, &pace{peer: sent.To, next: start.Add(time.Hour), pause: PacePause})
	m.Tick(start.Add(QueryTimeout))
	require.Equal(t, 1, q.paced)
	m.Tick(start.Add(2*QueryTimeout - 1))
	require.False(t, q.over)
	m.Tick(start.Add(2 * QueryTimeout))
	require.True(t, q.over)
}
