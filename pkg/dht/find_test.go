package dht

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// start3 starts a query in a network of 30 and returns its first three requests, the
// nearest peer first.
func start3(t *testing.T, kind QueryKind, key string) (*Machine, []Send) {
	m := settled(t, 30)
	_, err := m.Start(start, Query{Kind: kind, Key: []byte(key)})
	require.NoError(t, err)
	sent := m.Take().Send
	require.Len(t, sent, 3)
	return m, sent
}

func names(id string, addrs ...string) Response {
	p := wire.Peer{ID: kad.PeerID(id)}
	for _, a := range addrs {
		p.Addrs = append(p.Addrs, []byte(a))
	}
	return Response{Message: &wire.Message{CloserPeers: []wire.Peer{p}, ProviderPeers: []wire.Peer{p}}}
}

func texts(addrs [][]byte) []string {
	out := make([]string, len(addrs))
	for i, a := range addrs {
		out[i] = string(a)
	}
	return out
}

// A peer that answers first with a wrong address does not hide the right one: the lookup
// continues to the nearest peers, and their addresses come first.
func TestFindPeerAsksOn(t *testing.T) {
	m, sent := start3(t, FindPeer, "victim")
	m.Responded(start, sent[2].ID, names("victim", "bogus"))
	require.Empty(t, m.Take().Done, "one answer is not enough")
	m.Responded(start, sent[1].ID, names("victim", "right", "old"))
	m.Responded(start, sent[0].ID, names("victim", "right", "new"))
	out := m.Take()
	require.Len(t, out.Done, 1)
	require.Equal(t, []string{"right", "new", "old", "bogus"}, texts(out.Done[0].Peer.Addrs))
	require.Equal(t, kad.PeerID("victim"), out.Done[0].Peer.ID)
}

// The sought peer is asked as soon as it is named. Its answer ends the lookup, and its
// addresses come first. If it does not answer, it does not delay the lookup.
func TestFindPeerMeetsThePeer(t *testing.T) {
	victim := kad.NewPeer("victim")
	for _, answers := range []bool{true, false} {
		m, sent := start3(t, FindPeer, "victim")
		r := names("victim", "heard")
		r.Closer = []kad.Peer{victim}
		m.Responded(start, sent[0].ID, r)
		next := m.Take().Send
		require.Equal(t, victim, next[0].To)
		if answers {
			m.Responded(start, next[0].ID, names("victim", "own"))
			out := m.Take()
			require.Len(t, out.Done, 1)
			require.Equal(t, []string{"own", "heard"}, texts(out.Done[0].Peer.Addrs))
			continue
		}
		m.Failed(start, next[0].ID, errors.New("unreachable"))
		m.Responded(start, sent[1].ID, names("other"))
		m.Responded(start, sent[2].ID, names("other"))
		out := m.Take()
		require.Len(t, out.Done, 1)
		require.Equal(t, OutcomeOK, out.Done[0].Stats.Outcome)
		require.Equal(t, []string{"heard"}, texts(out.Done[0].Peer.Addrs))
	}
}

// Of many tellings those of the nearest peers are kept, in any order of arrival.
func TestMaxTellings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		target := kad.KeyOf([]byte("target"))
		var w whereabouts
		var all []telling
		for range rapid.IntRange(0, 20).Draw(t, "answers") {
			x := telling{from: kad.KeyOf(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "from"))}
			all = append(all, x)
			w.tell(&target, x)
		}
		slices.SortFunc(all, func(a, b telling) int { return kad.CompareDistance(&target, &a.from, &b.from) })
		require.Equal(t, all[:min(len(all), maxTellings)], w.told)
	})
	require.Equal(t, wire.MaxPeerAddrs, maxTellings*records.MaxAddressesPerProvider)
}

// A provider is reported again, with the new addresses, when a peer knows more of them.
func TestProvidersAreReportedAgain(t *testing.T) {
	m, sent := start3(t, FindProviders, "content")
	for i, step := range []struct {
		says []string
		news []string
	}{
		{[]string{"wrong"}, []string{"wrong"}},
		{[]string{"wrong", "right"}, []string{"right"}},
		{[]string{"right", "wrong"}, nil},
	} {
		m.Responded(start, sent[i].ID, names("provider", step.says...))
		var news []string
		for _, p := range m.Take().Progress {
			news = append(news, texts(p.Providers[0].Addrs)...)
		}
		require.Equal(t, step.news, news, "answer %d", i)
	}
}

// The limit of what one query reports holds to the byte. A query that reaches it ends
// with what it has found.
func TestMaxProviderBytes(t *testing.T) {
	m, sent := start3(t, FindProviders, "content")
	q := m.queries.list[0].x
	told := 0
	long := make([]byte, wire.MaxAddrLen)
	for i := 0; m.Queries() == 1; i++ {
		var ps []wire.Peer
		for j := range 1000 {
			p := wire.Peer{ID: kad.PeerID(fmt.Sprintf("%032d", 1000*i+j))}
			for a := range 16 {
				p.Addrs = append(p.Addrs, append([]byte{byte(a)}, long[1:]...))
			}
			ps = append(ps, p)
		}
		told += len(ps)
		m.takeProviders(q, ps)
		if q.enough() {
			m.Responded(start, sent[0].ID, Response{Message: &wire.Message{}})
		}
	}
	one := providerBytes + 32 + 16*(addrBytes+wire.MaxAddrLen)
	require.Equal(t, MaxProviderBytes/one, len(q.providers.addrs))
	require.Equal(t, MaxProviderBytes/one*one, q.providers.bytes)
	require.Greater(t, told, len(q.providers.addrs))
	require.Equal(t, OutcomeOK, m.Take().Done[0].Stats.Outcome)
}

// At most that many addresses of one provider are reported.
func TestMaxPeerAddrsOfAProvider(t *testing.T) {
	var r reported
	n := 0
	for i := range 3 * wire.MaxPeerAddrs {
		if p, ok := r.add(wire.Peer{ID: "provider", Addrs: [][]byte{{byte(i)}}}); ok {
			n += len(p.Addrs)
		}
	}
	require.Equal(t, wire.MaxPeerAddrs, n)
}

// Providers of an answer that is still arriving are reported at once and count towards
// the query's Count.
func TestProvidersAheadOfTheirAnswer(t *testing.T) {
	m, sent := start3(t, FindProviders, "content")
	m.queries.list[0].x.Count = 3
	provider := func(i int) []wire.Peer { return names(fmt.Sprint("provider", i)).Message.ProviderPeers }
	m.Found(start, sent[0].ID, provider(1))
	require.Len(t, m.Take().Progress, 1)
	m.Found(start, sent[0].ID, provider(1))
	require.Empty(t, m.Take().Progress, "told before")
	m.Found(start, sent[0].ID, provider(2))
	m.Failed(start, sent[0].ID, errors.New("cut"))
	require.Len(t, m.Take().Progress, 1)
	m.Found(start, sent[0].ID, provider(9))
	require.Empty(t, m.Take().Progress, "that request is over")
	m.Found(start, sent[1].ID, provider(3))
	out := m.Take()
	require.Len(t, out.Done, 1)
	require.Equal(t, OutcomeOK, out.Done[0].Stats.Outcome)
	require.ElementsMatch(t, []RequestID{sent[1].ID, sent[2].ID}, out.Cancel[:2])
}
