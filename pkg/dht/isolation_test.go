package dht

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

var errSilent = errors.New("no answer")

// island is a Machine whose verified peers can be made to fall silent.
type island struct {
	t   *testing.T
	m   *Machine
	now time.Time
	due []ending // ends of the requests in flight, by time: all last equally long
}

type ending struct {
	at time.Time
	id RequestID
}

func newIsland(t *testing.T, cfg Config, peers int) *island {
	cfg.Self = kad.Peer{ID: "self"}
	w := &island{t: t, m: New(cfg), now: start}
	w.m.Restored(w.now, nil)
	for n := range peers {
		w.m.PeerFound(w.now, someone(n), true)
		w.answer()
	}
	w.m.upkeep.rejoin = time.Time{} // the lookups that follow a join are over
	_, verified := w.m.Table().Len()
	require.Equal(t, peers, verified)
	return w
}

// someone returns one of up to 8 * 20 peers that all fit in a table.
func someone(n int) kad.Peer {
	var key kad.Key
	cpl := n % 8
	key[0] = 0x80 >> cpl
	key[31] = byte(1 + n/8)
	return kad.Peer{ID: kad.PeerID("peer" + string(rune('0'+n))), Key: key}
}

func (w *island) answer() {
	for out := w.m.Take(); len(out.Send) > 0; out = w.m.Take() {
		for _, s := range out.Send {
			w.m.Responded(w.now, s.ID, Response{})
		}
	}
}

// silence lets time pass until the given time. Each request ends without an answer after
// RequestTimeout. It returns how many peers each retry asked.
func (w *island) silence(until time.Time) (attempts []int) {
	for {
		out := w.m.Take()
		if out.Retry {
			attempts = append(attempts, len(out.Send))
		}
		for _, s := range out.Send {
			w.due = append(w.due, ending{w.now.Add(RequestTimeout), s.ID})
		}
		at, ok := w.m.Deadline()
		require.True(w.t, ok)
		failing := len(w.due) > 0 && !w.due[0].at.After(at)
		if failing {
			at = w.due[0].at
		}
		if at.After(until) {
			w.now = until
			return attempts
		}
		w.now = at
		if failing {
			w.m.Failed(at, w.due[0].id, errSilent)
			w.due = w.due[1:]
		} else {
			w.m.Tick(at)
		}
	}
}

func (w *island) isolated() bool {
	_, isolated := w.m.Isolated(w.now)
	return isolated
}

// For any number of peers: after the last sign of life come the heartbeat, one request
// that fails, and IsolatedAfter, in which the others fail too.
func TestIsolatedSoonAfterTheLastSign(t *testing.T) {
	const most = HeartbeatInterval + RequestTimeout + IsolatedAfter
	require.LessOrEqual(t, most, 40*time.Second)
	for _, peers := range []int{1, 2, 3, 4, 9, 31, 32, 33, 160} {
		w := newIsland(t, Config{Heartbeat: true}, peers)
		w.m.Take()
		last := w.now.Add(5 * time.Second)
		w.m.Alive(last)
		w.silence(last.Add(most - 1))
		require.False(t, w.isolated(), "%d peers", peers)
		w.silence(last.Add(most))
		require.True(t, w.isolated(), "%d peers", peers)
	}
}

// A round of peers that fail in a row counts as all peers; one answer among them resets
// the count.
func TestFailuresInARow(t *testing.T) {
	for _, answers := range []bool{false, true} {
		w := newIsland(t, Config{}, 3*IsolatedFailures)
		fail := func(n int) {
			p := someone(n)
			w.m.sendProbe(w.now, candidate{peer: p}, forLiveness)
			sent := w.m.Take().Send
			w.m.Failed(w.now, sent[0].ID, errSilent)
			w.m.Take()
		}
		for n := range IsolatedFailures - 1 {
			fail(n)
		}
		since, _ := w.m.Isolated(w.now)
		require.True(t, since.IsZero())
		if answers {
			w.m.sendProbe(w.now, candidate{peer: someone(2 * IsolatedFailures)}, forLiveness)
			w.answer()
		}
		fail(IsolatedFailures)
		since, _ = w.m.Isolated(w.now)
		require.Equal(t, answers, since.IsZero())
	}
}

// While no peer answers, all peers of the table are asked in turn, at most as many at once
// as probes may be in flight. The first answer ends this.
func TestIsolatedAsksEverybodyInTurn(t *testing.T) {
	const peers = 5 * MaxProbes
	w := newIsland(t, Config{Heartbeat: true}, peers)
	lost := w.now.Add(HeartbeatInterval + RequestTimeout) // of the first that was asked
	w.silence(w.now.Add(2 * time.Minute))                 // until no peer is verified
	_, verified := w.m.Table().Len()
	require.Zero(t, verified)
	w.failInFlight()

	asked := map[kad.PeerID]bool{}
	for range peers / MaxProbes {
		w.now = w.now.Add(IsolatedRetry)
		w.m.Tick(w.now)
		out := w.m.Take()
		require.True(t, out.Retry)
		require.Len(t, out.Send, MaxProbes)
		for _, s := range out.Send {
			asked[s.To.ID] = true
			w.m.Failed(w.now, s.ID, errSilent)
		}
	}
	require.Len(t, asked, peers)
	since, isolated := w.m.Isolated(w.now)
	require.True(t, isolated)
	require.Equal(t, lost, since)

	w.m.PeerFound(w.now, someone(0), true)
	w.answer()
	since, isolated = w.m.Isolated(w.now)
	require.False(t, isolated)
	require.True(t, since.IsZero())
}

// failInFlight fails all requests in flight and those that follow at once.
func (w *island) failInFlight() {
	for w.m.Load().Requests > 0 {
		for id := w.m.lastRequest; id > 0; id-- {
			w.m.Failed(w.now, id, errSilent)
		}
	}
	w.m.Take()
}

// A node that restarts while no peer of its snapshot is reachable counts as one that had
// peers.
func TestIsolatedFromTheStart(t *testing.T) {
	restart := func(cfg Config, peers ...kad.Peer) *island {
		cfg.Self = kad.Peer{ID: "self"}
		w := &island{t: t, m: New(cfg), now: start}
		w.m.Restored(start, peers)
		return w
	}
	w := restart(Config{}, someone(0), someone(1))
	w.silence(start.Add(IsolatedAfter - 1))
	require.False(t, w.isolated())
	w.silence(start.Add(IsolatedAfter))
	require.True(t, w.isolated())

	w = restart(Config{First: true}, someone(0), someone(1))
	attempts := w.silence(start.Add(time.Hour))
	require.False(t, w.isolated(), "a first node may be alone")
	require.Empty(t, attempts)
	w.m.Doubt(w.now)
	require.Len(t, w.silence(w.now.Add(time.Hour)), 1, "when a link changes it tries once")

	w = restart(Config{})
	w.silence(start.Add(time.Hour))
	require.False(t, w.isolated(), "it never had a peer")
}

// A heartbeat asks HeartbeatPeers of the table, however many there are.
func TestHeartbeatPeers(t *testing.T) {
	for _, peers := range []int{HeartbeatPeers - 1, HeartbeatPeers, HeartbeatPeers + 1, 30} {
		m := settled(t, peers)
		m.cfg.Heartbeat = true
		m.Tick(start.Add(HeartbeatInterval))
		require.Len(t, m.Take().Send, min(peers, HeartbeatPeers), "%d peers", peers)
	}
}
