package sim

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/kbucket"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// calls against a map by number: a number belongs to one call at a time, a removed call
// leaves nothing behind, and the list grows no longer than necessary.
func TestCallsAgainstAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c calls
		live := map[uint32]dht.RequestID{}
		made, most := dht.RequestID(0), 0
		t.Repeat(map[string]func(*rapid.T){
			"add": func(*rapid.T) {
				made++
				i := c.add(call{id: made})
				require.NotContains(t, live, i)
				live[i] = made
				most = max(most, len(live))
			},
			"answer": func(t *rapid.T) {
				i, ok := someCall(t, live)
				if !ok || c.list[i].answer != nil {
					t.Skip("none")
				}
				a := c.newAnswer()
				require.Nil(t, a.msg.Record, "the record of the previous use")
				require.Nil(t, a.msg.ProviderPeers)
				a.msg.Record, a.msg.ProviderPeers = &wire.Record{}, []wire.Peer{{}}
				c.list[i].answer = a
			},
			"remove": func(t *rapid.T) {
				i, ok := someCall(t, live)
				if !ok {
					t.Skip("none")
				}
				c.remove(i)
				delete(live, i)
			},
			"": func(*rapid.T) {
				require.Len(t, c.list, most)
				require.Len(t, c.free, most-len(live))
				used := map[*answer]bool{}
				for i := range c.list {
					require.Equal(t, live[uint32(i)], c.list[i].id)
					if a := c.list[i].answer; a != nil {
						require.False(t, used[a], "two calls have one answer")
						used[a] = true
					}
				}
				for _, a := range c.answers {
					require.False(t, used[a], "an answer in use is kept for another call")
				}
			},
		})
	})
}

// someCall draws a call in flight.
func someCall(t *rapid.T, live map[uint32]dht.RequestID) (uint32, bool) {
	var all []uint32
	for i := range live {
		all = append(all, i)
	}
	if len(all) == 0 {
		return 0, false
	}
	slices.Sort(all)
	return rapid.SampledFrom(all).Draw(t, "call"), true
}

// A call that would be late fails at its deadline, or now if the deadline has passed.
func TestCallsFailAtTheirDeadline(t *testing.T) {
	for _, tt := range []struct {
		now, deadline, wait, at time.Duration
		late                    bool
	}{
		{now: 0, deadline: 10, wait: 9, at: 9},
		{now: 0, deadline: 10, wait: 10, at: 10, late: true},
		{now: 3, deadline: 10, wait: 100, at: 10, late: true},
		{now: 20, deadline: 10, wait: 1, at: 20, late: true},
	} {
		w := &World{now: tt.now}
		i := w.calls.add(call{deadline: tt.deadline})
		w.schedule(i, tt.wait, evReply)
		e := w.queue.pop()
		require.Equal(t, tt.at, e.at)
		if tt.late {
			require.Equal(t, evFailure, e.kind())
			require.Equal(t, errTimeout, w.calls.list[i].err)
		} else {
			require.Equal(t, evReply, e.kind())
			require.NoError(t, w.calls.list[i].err)
		}
	}
	w := &World{}
	i := w.calls.add(call{err: dht.ErrNotServer})
	w.schedule(i, time.Second, evFailure)
	require.Equal(t, dht.ErrNotServer, w.calls.list[i].err, "why it failed is not forgotten")
}

func TestFrameSize(t *testing.T) {
	for n := range 1 << 14 {
		require.Equal(t, n+len(binary.AppendUvarint(nil, uint64(n))), frameSize(n))
	}
}

// sizeOf agrees with the size of an answer whose closer peers are encoded.
func TestSizeOfIsTheSizeOnTheWire(t *testing.T) {
	w := quiet(40)
	rapid.Check(t, func(t *rapid.T) {
		m := wire.Message{Type: wire.FindNode, Key: w.randomKey()}
		n := rapid.IntRange(0, 20).Draw(t, "closer")
		got := w.sizeOf(&m, n)
		for i := range uint32(n) {
			m.CloserPeers = append(m.CloserPeers, wire.Peer{ID: w.peer(i).ID, Addrs: w.addrs})
		}
		require.Equal(t, frameSize(len(m.Append(nil))), got)
	})
}

// Answers against brute force over the table: the peer that the request looks for, if the
// node knows it, and the k nearest verified peers except the asker.
func TestAnswersAgainstBruteForce(t *testing.T) {
	w := checked(120)
	for i := range 400 {
		server, asker := w.nodes[w.random.work.IntN(120)], uint32(w.random.work.IntN(120))
		key := w.randomKey()
		if i%2 == 0 {
			key = []byte(w.peer(uint32(w.random.work.IntN(120))).ID)
		}
		if server.num == asker {
			continue
		}
		target := kad.KeyOf(key)
		var want []kad.Peer
		server.table.Entries(func(e kbucket.Entry) bool {
			if e.Verified && e.Peer.ID != w.peer(asker).ID {
				want = append(want, e.Peer)
			}
			return true
		})
		slices.SortFunc(want, func(a, b kad.Peer) int { return kad.CompareDistance(&target, &a.Key, &b.Key) })
		want = want[:min(20, len(want))]
		if num, ok := w.number(kad.PeerID(key)); ok && want[0].ID != w.peer(num).ID {
			if num == server.num || server.table.Has(target) {
				want = append([]kad.Peer{*w.peer(num)}, want...)
			}
		}
		c := answerOf(t, w, server.num, asker, &wire.Message{Type: wire.FindNode, Key: key})
		require.Equal(t, want, c.answer.closer, "node %d asks %d", asker, server.num)
		require.Equal(t, want[:len(c.answer.msg.CloserPeers)], peersOf(w, c.answer.msg.CloserPeers))
	}
	require.Empty(t, w.Violations())
}

func peersOf(w *World, ps []wire.Peer) []kad.Peer {
	out := []kad.Peer{}
	for _, p := range ps {
		num, _ := w.number(p.ID)
		out = append(out, *w.peer(num))
	}
	return out
}

// The answer to a probe has the size that it would have with its peers.
func TestAProbeIsAnsweredWithPeersNobodyLooksAt(t *testing.T) {
	w := quiet(60)
	m := &wire.Message{Type: wire.FindNode, Key: w.randomKey()}
	named := answerOf(t, w, 3, 9, m)
	probe := &call{msg: m, from: 9, to: 3}
	require.True(t, w.serve(w.nodes[3], probe))
	require.Len(t, named.answer.closer, 20)
	require.Empty(t, probe.answer.closer)
	require.Equal(t, named.answer.size, probe.answer.size)
	w.opts.Check = true
	full := &call{msg: m, from: 9, to: 3}
	require.True(t, w.serve(w.nodes[3], full))
	require.Equal(t, named.answer.closer, full.answer.closer)
}

func TestWithout(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 8).Draw(t, "n")
		var ps, want []kad.Peer
		key := kad.Key{byte(rapid.IntRange(0, 9).Draw(t, "key"))}
		for i := range n {
			p := kad.Peer{Key: kad.Key{byte(i)}}
			ps = append(ps, p)
			if p.Key != key {
				want = append(want, p)
			}
		}
		require.Equal(t, want, slices.Clip(append([]kad.Peer(nil), ps[:without(ps, &key)]...)))
	})
}

// An invented peer, which an adversary might name, costs a dial like a dead peer.
func TestAnInventedPeerDoesNotAnswer(t *testing.T) {
	w := quiet(30)
	s := &dht.Send{
		ID: 1, To: kad.NewPeer(kad.PeerID(preimage(5))), Deadline: w.clock.Add(10 * time.Second),
		Message: &wire.Message{Type: wire.FindNode, Key: w.randomKey()},
	}
	w.send(w.nodes[0], s)
	e := w.queue.pop()
	require.Equal(t, evFailure, e.kind())
	require.Equal(t, dialTimeout, e.at)
	require.Equal(t, errTimeout, w.calls.list[e.arg].err)

	s.Deadline = w.clock.Add(2 * time.Second)
	w.send(w.nodes[0], s)
	require.Equal(t, 2*time.Second, w.queue.pop().at, "no longer than the request may take")
}
