package sim

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/kbucket"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// checked is a quiet world whose invariants are tested.
func checked(nodes int) *World {
	w := quiet(nodes)
	w.opts.Check = true
	return w
}

// requireViolation fails unless the last violation contains the text.
func requireViolation(t *testing.T, w *World, says string) {
	t.Helper()
	require.NotEmpty(t, w.Violations(), "no violation: %s", says)
	require.Contains(t, w.Violations()[len(w.Violations())-1], says)
}

// The check reports each kind of broken table, and no correct one. The test changes the
// table of the node directly, not through the Machine.
func TestBrokenTablesAreFound(t *testing.T) {
	broken := func(share func(kad.Peer) *kad.Peer, peers ...kad.Peer) *World {
		w := checked(60)
		n := w.nodes[0]
		n.table = kbucket.New(w.peer(0).Key, kbucket.Config{Share: share})
		for _, p := range peers {
			n.table.Add(p, "", w.clock)
		}
		w.checkTable(n)
		return w
	}
	asIs := func(p kad.Peer) *kad.Peer { return &p }
	peers := checked(60)
	peer := func(num uint32, like uint32) kad.Peer { // the ID of one, the key of another
		return kad.Peer{ID: peers.peer(num).ID, Key: peers.peer(like).Key}
	}
	require.Empty(t, broken(asIs, peer(5, 5), peer(6, 6)).Violations())
	requireViolation(t, broken(asIs, peer(5, 5), peer(5, 6)), "node 5 is in its table twice")
	requireViolation(t, broken(asIs, peer(0, 6)), "its own peer is in its table")
	other := func(kad.Peer) *kad.Peer { // the key in the table differs from that of the peer it points to
		p := peer(5, 5)
		p.Key[0] ^= 0x80
		return &p
	}
	requireViolation(t, broken(other, peer(5, 5)), "node 5 is in bucket ")

	w := checked(60)
	w.checkTable(w.nodes[0])
	require.Empty(t, w.Violations())
	w.opts.Protocol.K = 3
	w.checkTable(w.nodes[0])
	requireViolation(t, w, " peers")
	require.Contains(t, w.Violations()[0], "bucket 0 holds 20 peers")
}

// A table is checked when it has changed, and only then.
func TestTablesAreCheckedWhenTheyChange(t *testing.T) {
	w := checked(60)
	n := w.nodes[0]
	w.check(n)
	w.opts.Protocol.K = 3
	w.check(n)
	require.Empty(t, w.Violations())
	far := kad.Peer{ID: "somebody", Key: w.peer(0).Key}
	far.Key[20] ^= 1
	n.table.Add(far, "", w.clock)
	w.check(n)
	require.NotEmpty(t, w.Violations())
}

// answerOf has a node serve one request directly, and returns the call with its answer.
func answerOf(t *testing.T, w *World, server, asker uint32, m *wire.Message) *call {
	t.Helper()
	c := &call{query: 1, msg: m, from: asker, to: server}
	require.True(t, w.serve(w.nodes[server], c))
	return c
}

// The check reports each kind of answer that a correct node would not give.
func TestBrokenAnswersAreFound(t *testing.T) {
	for says, breaks := range map[string]func(w *World, a *answer){
		"names node 3 to node 9": func(w *World, a *answer) { a.closer[7] = *w.peer(3) }, // the server itself
		"names node 9 to node 9": func(w *World, a *answer) { a.closer[0] = *w.peer(9) },
		"is not in order":        func(_ *World, a *answer) { a.closer[4], a.closer[5] = a.closer[5], a.closer[4] },
		"verified 20 are as near": func(_ *World, a *answer) {
			a.closer = slices.Delete(a.closer, 10, 11)
		},
		"names 19 peers": func(_ *World, a *answer) { a.closer = a.closer[:19] },
	} {
		w := checked(60)
		c := answerOf(t, w, 3, 9, &wire.Message{Type: wire.FindNode, Key: w.randomKey()})
		require.Len(t, c.answer.closer, 20)
		require.Empty(t, w.Violations())
		breaks(w, c.answer)
		w.checkAnswer(w.nodes[3], c, c.answer)
		require.NotEmpty(t, w.Violations(), says)
		require.Contains(t, strings.Join(w.Violations(), "\n"), says)
	}
}

// A holder may serve a record until it expires; the owner may always.
func TestRecordsThatNobodyStoredAreFound(t *testing.T) {
	w := checked(30)
	c := w.newContent(false)
	c.owner = w.nodes[7]
	w.track(c)
	serves := func(server uint32, m wire.Message) []string {
		w.violations = nil
		a := &answer{msg: m}
		a.msg.Type, a.msg.Key = wire.GetProviders, c.key
		w.checkAnswer(w.nodes[server], &call{msg: &a.msg, from: 9}, a)
		return w.Violations()
	}
	some := wire.Message{ProviderPeers: []wire.Peer{{ID: w.peer(7).ID}}}
	require.Len(t, serves(3, some), 1)
	require.Contains(t, serves(3, some)[0], "serves a record that has expired or was never stored")
	require.Empty(t, serves(7, some), "the owner's own")
	require.Empty(t, serves(3, wire.Message{}), "no record at all")
	w.stored(w.nodes[3], c.key, w.now+time.Hour)
	require.Empty(t, serves(3, some))
	require.Len(t, serves(4, some), 1, "another node")
	w.setNow(w.now + time.Hour)
	require.Len(t, serves(3, some), 1, "expired")
}

func TestQueriesThatRunTooLongAreFound(t *testing.T) {
	w := checked(30)
	n := w.nodes[3]
	n.ops = []*op{{kind: opSeek, started: w.now}}
	w.setNow(w.now + dht.QueryTimeout)
	w.check(n)
	require.Empty(t, w.Violations())
	w.setNow(w.now + 1)
	w.check(n)
	requireViolation(t, w, "node 3: seek runs for 1m0.000000001s")
	w.checkEnd()
	requireViolation(t, w, "node 3: seek that began at 0s never ended")
}

func TestRequestsThatNothingMovesOnAreFound(t *testing.T) {
	w := checked(30)
	w.lookup()
	require.NotZero(t, w.queue.len())
	w.checkEnd()
	for _, v := range w.Violations() {
		require.Contains(t, v, "never ended")
	}
	w.queue = queue{}
	w.checkEnd()
	requireViolation(t, w, "requests wait for 0 events")
}

func TestTimeThatRunsBackIsFound(t *testing.T) {
	w := checked(30)
	w.RunUntil(time.Minute)
	require.Empty(t, w.Violations())
	w.queue.push(time.Second, evStart, 0) // already up
	w.RunUntil(time.Minute)
	require.Contains(t, w.Violations()[0], "time runs back to 1s")
}

// The first violations are kept, with time and node. A run without checks finds none.
func TestViolationsAreBounded(t *testing.T) {
	w := checked(30)
	w.setNow(90 * time.Second)
	for i := range 2 * maxViolations {
		w.violated(w.nodes[4], "number %d", i)
	}
	require.Len(t, w.Violations(), maxViolations)
	require.Equal(t, "1m30s node 4: number 0", w.Violations()[0])
	require.Equal(t, "1m30s node 4: number 19", w.Violations()[maxViolations-1])
	require.Equal(t, w.Violations(), w.Report().Violations)

	w = quiet(30)
	w.nodes[3].ops = []*op{{kind: opSeek}}
	w.checkEnd()
	require.Empty(t, w.Violations())
}
