package dht

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// settled is a Machine at rest that has so many verified peers, each in no group.
func settled(t *testing.T, peers int) *Machine {
	m := New(Config{Self: kad.NewPeer("self")})
	m.Restored(start, nil)
	for i, verified := 0, 0; verified < peers; i++ { // a bucket may be full
		m.PeerFound(start, kad.NewPeer(kad.PeerID(fmt.Sprint("p", i))), true)
		answerAll(m)
		_, verified = m.table.Len()
	}
	require.Zero(t, m.Load().Requests)
	m.upkeep.rejoin = time.Time{} // the lookups that follow a join are over
	return m
}

// answerAll answers requests, hearing of nobody, until none is in flight.
func answerAll(m *Machine) {
	for out := m.Take(); len(out.Send) > 0; out = m.Take() {
		for _, s := range out.Send {
			m.Responded(start, s.ID, Response{Message: &wire.Message{}})
		}
	}
}

func TestPlacesAddUp(t *testing.T) {
	sum := 0
	for _, n := range places {
		sum += n
	}
	require.Equal(t, 256, sum)
	require.Equal(t, MaxRequests, sum)
}

// Stores wait for a place as lookups do, and each reaches all of its peers.
func TestMaxQueryRequests(t *testing.T) {
	m := settled(t, 30)
	for i := range MaxQueries {
		_, err := m.Start(start, Query{Kind: StoreProvider, Key: fmt.Append(nil, "key", i), Provider: wire.Peer{ID: "self"}})
		require.NoError(t, err)
	}
	_, err := m.Start(start, Query{Kind: FindClosest, Key: []byte("one more")})
	require.ErrorIs(t, err, ErrBusy, "MaxQueries")
	require.Equal(t, MaxQueries, m.Queries())

	var flying []Send
	most, done := 0, 0
	for m.Queries() > 0 {
		out := m.Take()
		flying = append(flying, out.Send...)
		most = max(most, m.Load().Requests)
		require.Len(t, flying, m.Load().Requests)
		for _, r := range out.Done {
			require.Equal(t, Replicas, r.Stats.StoredAt, "of %d", r.Stats.StoreSent)
			done++
		}
		if len(flying) > 0 {
			m.Responded(start, flying[0].ID, Response{Message: &wire.Message{}})
			flying = flying[1:]
		}
	}
	require.Equal(t, MaxQueryRequests, most)
	require.Equal(t, MaxQueries, done+len(m.Take().Done))
	require.Empty(t, m.blocked)
}

// The refresh of a bucket counts as a query too.
func TestRefreshKeepsToMaxQueries(t *testing.T) {
	for _, others := range []int{MaxQueries - 1, MaxQueries} {
		m, now := settled(t, 30), start.Add(RefreshInterval)
		for i := range others {
			_, err := m.Start(now, Query{Kind: FindClosest, Key: fmt.Append(nil, "key", i)})
			require.NoError(t, err)
		}
		m.Tick(now)
		require.Equal(t, MaxQueries, m.Queries())
	}
}

// A caller that starts and cancels while nothing is free leaves nothing behind.
func TestCancelledQueriesDoNotWait(t *testing.T) {
	m := settled(t, 30)
	for i := range MaxQueryRequests {
		_, err := m.Start(start, Query{Kind: FindClosest, Key: fmt.Append(nil, "key", i)})
		require.NoError(t, err)
	}
	require.Equal(t, MaxQueryRequests, m.Load().Requests)
	waiting := len(m.blocked)
	for range 3 * MaxQueries {
		id, err := m.Start(start, Query{Kind: FindClosest, Key: []byte("impatient")})
		require.NoError(t, err)
		m.Cancel(start, id)
	}
	require.Len(t, m.blocked, waiting)
}

func TestMaxProbesAndCandidates(t *testing.T) {
	m := New(Config{Self: kad.NewPeer("self")})
	m.Restored(start, nil)
	for i := range MaxProbes + MaxCandidates + 1 {
		m.PeerFound(start, kad.NewPeer(kad.PeerID(fmt.Sprint("p", i))), true)
	}
	require.Len(t, m.Take().Send, MaxProbes)
	l := m.Load()
	require.Equal(t, MaxProbes, l.Probes)
	require.Equal(t, MaxCandidates, l.Candidates)
	require.EqualValues(t, 1, l.DroppedCandidates)
}

// Lookups that fail at many peers of the table have so many of them probed.
func TestMaxSuspects(t *testing.T) {
	m := settled(t, 60)
	for i := range 100 {
		_, err := m.Start(start, Query{Kind: FindClosest, Key: fmt.Append(nil, "key", i)})
		require.NoError(t, err)
	}
	failAll(m, func(s Send) bool { return s.Query != 0 })
	require.Equal(t, MaxSuspects, m.inFlight[forSuspect])
	require.Equal(t, MaxSuspects, m.Load().Requests)
}

// failAll fails requests, those sent meanwhile too, as far as they are wanted failed.
func failAll(m *Machine, wanted func(Send) bool) {
	for out := m.Take(); len(out.Send) > 0; out = m.Take() {
		for _, s := range out.Send {
			if wanted(s) {
				m.Failed(start, s.ID, errors.New("refused"))
			}
		}
	}
}

// So many silent peers are probed at once, whatever other probes hang, and the next
// when one has ended.
func TestMaxLiveness(t *testing.T) {
	m := settled(t, 60)
	silent := map[kad.PeerID]bool{}
	for e := range m.table.Entries {
		silent[e.Peer.ID] = true
	}
	for i := range MaxProbes {
		m.candidates.add(candidate{peer: kad.NewPeer(kad.PeerID(fmt.Sprint("hangs", i)))})
	}
	m.Tick(start.Add(LivenessInterval))
	require.Equal(t, MaxProbes, m.inFlight[forCandidate])
	require.Equal(t, MaxLiveness, m.inFlight[forLiveness])
	m.Tick(start.Add(LivenessInterval + MaintainInterval))
	require.Equal(t, MaxLiveness, m.inFlight[forLiveness], "none has ended")
	for out := m.Take(); len(out.Send) > 0; out = m.Take() {
		for _, s := range out.Send {
			if r := m.requests.find(s.ID); r != nil && r.purpose == forLiveness {
				delete(silent, s.To.ID)
				m.Failed(start.Add(LivenessInterval+MaintainInterval), s.ID, errors.New("timeout"))
				require.LessOrEqual(t, m.inFlight[forLiveness], MaxLiveness)
			}
		}
	}
	require.Empty(t, silent, "all were probed")
}

// Closer peers beyond twice k of one answer are not taken.
func TestMaxCloser(t *testing.T) {
	m := settled(t, 1)
	_, err := m.Start(start, Query{Kind: FindClosest, Key: []byte("key")})
	require.NoError(t, err)
	var closer []kad.Peer
	for i := range MaxCloser + 1 {
		closer = append(closer, kad.NewPeer(kad.PeerID(fmt.Sprint("closer", i))))
	}
	q := m.queries.list[0].x
	m.Responded(start, m.Take().Send[0].ID, Response{Message: &wire.Message{}, Closer: closer})
	require.Equal(t, 1+MaxCloser, q.lookup.Stats().Heard)
}

// A lookup that stalls has MaxAlpha requests in flight and no more.
func TestMaxAlpha(t *testing.T) {
	m := settled(t, 60)
	_, err := m.Start(start, Query{Kind: FindClosest, Key: []byte("key")})
	require.NoError(t, err)
	most := 0
	for flying := m.Take().Send; len(flying) > 0; flying = append(flying[1:], m.Take().Send...) {
		most = max(most, m.Load().Requests)
		m.Responded(start, flying[0].ID, Response{Message: &wire.Message{}})
	}
	require.Equal(t, MaxAlpha, most)
}

// A lookup begins with seedFactor times k peers of the table.
func TestSeedFactor(t *testing.T) {
	m := settled(t, seedFactor*Replicas+1)
	_, err := m.Start(start, Query{Kind: FindClosest, Key: []byte("key")})
	require.NoError(t, err)
	require.Equal(t, seedFactor*Replicas, m.queries.list[0].x.lookup.Stats().Heard)
}

// A search for a value whose nearest peer is silent ends with DefaultQuorum equal
// answers, not with one fewer.
func TestDefaultQuorum(t *testing.T) {
	m := settled(t, 30)
	_, err := m.Start(start, Query{Kind: FindValue, Key: []byte("/x")})
	require.NoError(t, err)
	answer := Response{Message: &wire.Message{Record: &wire.Record{Key: []byte("/x"), Value: []byte("v")}}}
	out := m.Take()
	flying := out.Send[1:]
	for i := range DefaultQuorum {
		require.Equal(t, 1, m.Queries(), "after %d answers", i)
		m.Responded(start, flying[i].ID, answer)
		out = m.Take()
		flying = append(flying, out.Send...)
	}
	require.Zero(t, m.Queries())
	require.Equal(t, DefaultQuorum, out.Done[0].Responders)
}

// hangs drives a Machine for three hours. One verified peer dies at the start.
// Others are connected, take the stream of a probe and never answer; each connects
// again every ten seconds, so that identify names it again.
func hangs(t *testing.T, peers int) *Machine {
	now := start
	m := settled(t, 2) // p0 dies, p1 always answers
	type flight struct {
		Send
		end time.Time
	}
	var flying []flight
	perform := func() {
		out := m.Take()
		for _, s := range out.Send {
			f := flight{Send: s, end: now.Add(RequestTimeout)}
			if s.To.ID == "p1" {
				f.end = now
			}
			flying = append(flying, f)
		}
		for _, id := range out.Cancel {
			for i := range flying {
				if flying[i].ID == id {
					flying = append(flying[:i], flying[i+1:]...)
					break
				}
			}
		}
	}
	for second := range 3 * 3600 {
		now = start.Add(time.Duration(second) * time.Second)
		for i := second % 10; i < peers; i += 10 {
			m.PeerFound(now, kad.NewPeer(kad.PeerID(fmt.Sprint("hangs", i))), true)
		}
		m.Tick(now)
		perform()
		for i := 0; i < len(flying); i++ {
			f := flying[i]
			if f.end.After(now) {
				continue
			}
			flying = append(flying[:i], flying[i+1:]...)
			if f.To.ID == "p1" {
				m.Responded(now, f.ID, Response{Message: &wire.Message{}})
			} else {
				m.Failed(now, f.ID, errors.New("timeout"))
			}
			perform()
			i = -1
		}
	}
	return m
}

// However many peers hang, a dead one is found out and told to nobody.
func TestHangingPeersDoNotStopLiveness(t *testing.T) {
	dead := kad.NewPeer("p0")
	for _, n := range []int{0, 40, 64, 500} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			m := hangs(t, n)
			e, ok := m.table.Lookup(dead.Key)
			require.False(t, ok && e.Verified)
			require.NotContains(t, m.table.Nearest(nil, dead.Key, 1), dead)
		})
	}
}

// A peer that has just failed its probe pauses, however sure it is that it serves;
// but not while nobody is verified, for then it may have been our own link.
func TestWhoHasFailedPauses(t *testing.T) {
	for _, verified := range []int{0, 1} {
		m := settled(t, verified)
		p := kad.NewPeer("fails")
		m.PeerFound(start, p, true)
		m.Failed(start, m.Take().Send[0].ID, errors.New("timeout"))
		m.PeerFound(start.Add(FailedProbePause-1), p, true)
		require.Len(t, m.Take().Send, 1-verified, "%d verified", verified)
		m.PeerFound(start.Add(FailedProbePause), p, true)
		require.Len(t, m.Take().Send, verified, "%d verified", verified)
	}
}
