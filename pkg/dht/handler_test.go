package dht

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// fakeNeighbours is a table of peers.
type fakeNeighbours struct {
	table []wire.Peer
	known map[kad.PeerID]wire.Peer
	said  map[kad.PeerID][][]byte
}

func (f fakeNeighbours) Closer(dst []wire.Peer, target kad.Key, n int, asker kad.PeerID, _ wire.Scope) []wire.Peer {
	table := slices.Clone(f.table)
	slices.SortFunc(table, func(a, b wire.Peer) int {
		x, y := kad.KeyOf([]byte(a.ID)), kad.KeyOf([]byte(b.ID))
		return kad.CompareDistance(&target, &x, &y)
	})
	for _, p := range table {
		if p.ID != asker && n > 0 {
			dst = append(dst, p)
			n--
		}
	}
	return dst
}

func peerIDs(ps []wire.Peer) (ids []kad.PeerID) {
	for i := range ps {
		ids = append(ids, ps[i].ID)
	}
	return ids
}

func (f fakeNeighbours) Find(id kad.PeerID, _ wire.Scope) (wire.Peer, bool) {
	p, ok := f.known[id]
	return p, ok
}

func (f fakeNeighbours) Said(dst [][]byte, id kad.PeerID, _ wire.Scope) [][]byte {
	return append(dst, f.said[id]...)
}

var addr = [][]byte{[]byte("addr")}

func manyPeers(n, addrs, size int) []wire.Peer {
	var ps []wire.Peer
	for i := range n {
		p := wire.Peer{ID: kad.PeerID(fmt.Sprintf("peer%03d", i))}
		for range addrs {
			p.Addrs = append(p.Addrs, []byte(strings.Repeat("a", size)))
		}
		ps = append(ps, p)
	}
	return ps
}

func newTestHandler(store records.Store, nb Neighbours) *Handler {
	return NewHandler(HandlerConfig{
		Self: "self", Store: store, Neighbours: nb,
		Validate: func(key, value []byte) error {
			if strings.HasPrefix(string(value), "bad") || !strings.HasPrefix(string(key), "/ns/") {
				return errors.New("no")
			}
			return nil
		},
		Better:      func(_, a, b []byte) bool { return string(b) > string(a) },
		FilterAddrs: func(dst [][]byte, _ kad.PeerID, addrs [][]byte, _ wire.Scope) [][]byte { return append(dst, addrs...) },
	})
}

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestHandlerRejects(t *testing.T) {
	long := []byte(strings.Repeat("k", records.MaxKeyLen+1))
	rec := func(key, value string) *wire.Record { return &wire.Record{Key: []byte(key), Value: []byte(value)} }
	own := []wire.Peer{{ID: "from", Addrs: addr}}
	for name, c := range map[string]struct {
		msg  wire.Message
		want error
	}{
		"find node without key":        {wire.Message{Type: wire.FindNode}, ErrNoKey},
		"get value without key":        {wire.Message{Type: wire.GetValue}, ErrNoKey},
		"get providers without key":    {wire.Message{Type: wire.GetProviders}, ErrNoKey},
		"get providers, 81 bytes":      {wire.Message{Type: wire.GetProviders, Key: long}, ErrKeyTooLong},
		"add provider without key":     {wire.Message{Type: wire.AddProvider, ProviderPeers: own}, ErrNoKey},
		"add provider, 81 bytes":       {wire.Message{Type: wire.AddProvider, Key: long, ProviderPeers: own}, ErrKeyTooLong},
		"add provider for nobody":      {wire.Message{Type: wire.AddProvider, Key: []byte("k")}, ErrNoProvider},
		"add provider for another":     {wire.Message{Type: wire.AddProvider, Key: []byte("k"), ProviderPeers: []wire.Peer{{ID: "other", Addrs: addr}}}, ErrNoProvider},
		"add provider without address": {wire.Message{Type: wire.AddProvider, Key: []byte("k"), ProviderPeers: []wire.Peer{{ID: "from"}}}, ErrNoProvider},
		"put without record":           {wire.Message{Type: wire.PutValue, Key: []byte("/ns/k")}, ErrNoRecord},
		"put without key":              {wire.Message{Type: wire.PutValue, Record: rec("", "v")}, ErrNoKey},
		"put of another key":           {wire.Message{Type: wire.PutValue, Key: []byte("/ns/k"), Record: rec("/ns/j", "v")}, ErrKeyMismatch},
		"put in unknown namespace":     {wire.Message{Type: wire.PutValue, Key: []byte("/no/k"), Record: rec("/no/k", "v")}, ErrInvalidRecord},
		"put of invalid value":         {wire.Message{Type: wire.PutValue, Key: []byte("/ns/k"), Record: rec("/ns/k", "bad")}, ErrInvalidRecord},
		"put of huge value":            {wire.Message{Type: wire.PutValue, Key: []byte("/ns/k"), Record: rec("/ns/k", strings.Repeat("v", records.DefaultMaxValueSize+1))}, records.ErrTooLarge},
		"unknown type":                 {wire.Message{Type: 77, Key: []byte("k")}, ErrUnknownType},
	} {
		t.Run(name, func(t *testing.T) {
			store := records.NewMem(nil)
			h := newTestHandler(store, fakeNeighbours{})
			reply, err := h.Handle(start, Request{From: "from", Message: &c.msg}, &wire.Message{})
			require.ErrorIs(t, err, c.want)
			require.False(t, reply)
			require.Zero(t, store.Stats().Records)
		})
	}
}

func handle(t *testing.T, h *Handler, now time.Time, from kad.PeerID, msg wire.Message) (*wire.Message, bool) {
	t.Helper()
	var resp wire.Message
	reply, err := h.Handle(now, Request{From: from, Message: &msg}, &resp)
	require.NoError(t, err)
	return &resp, reply
}

func TestHandlerValues(t *testing.T) {
	h := newTestHandler(records.NewMem(nil), fakeNeighbours{table: manyPeers(30, 1, 8)})
	put := func(now time.Time, value string, ttl uint32) error {
		msg := wire.Message{Type: wire.PutValue, Key: []byte("/ns/k"), Record: &wire.Record{Key: []byte("/ns/k"), Value: []byte(value), TTL: ttl}}
		var resp wire.Message
		_, err := h.Handle(now, Request{From: "from", Message: &msg}, &resp)
		if err == nil {
			require.Equal(t, value, string(resp.Record.Value))
		}
		return err
	}
	get := func(now time.Time) *wire.Record {
		resp, reply := handle(t, h, now, "from", wire.Message{Type: wire.GetValue, Key: []byte("/ns/k")})
		require.True(t, reply)
		require.Len(t, resp.CloserPeers, Replicas)
		return resp.Record
	}
	require.Nil(t, get(start))
	require.NoError(t, put(start, "v2", 3))
	require.Equal(t, uint32(3), get(start).TTL)
	require.ErrorIs(t, put(start, "v1", 0), records.ErrOlder)
	require.NoError(t, put(start, "v3", 10))
	require.Equal(t, "v3", string(get(start.Add(8*time.Second)).Value))
	require.Nil(t, get(start.Add(10*time.Second)), "expired")
	require.NoError(t, put(start.Add(time.Minute), "v1", 0), "what has expired binds nobody")
	require.Equal(t, uint32(records.MaxTTL/time.Second), get(start.Add(time.Minute)).TTL)
}

// A value expires at its own end at the latest, and a stored value is served until the
// time that Judge gives.
func TestHandlerValueEnds(t *testing.T) {
	mem, end := records.NewMem(nil), start.Add(time.Hour)
	h := NewHandler(HandlerConfig{
		Store: mem, Neighbours: fakeNeighbours{},
		Validate: func(_, _ []byte) error { return nil },
		End:      func(_, _ []byte) time.Time { return end },
		Judge:    func(v *records.Value) { v.Expires = v.Expires.Add(-time.Minute) },
	})
	key := []byte("/ns/k")
	handle(t, h, start, "from", wire.Message{Type: wire.PutValue, Key: key, Record: &wire.Record{Key: key, Value: []byte("v")}})
	v, err := mem.Value(start, key)
	require.NoError(t, err)
	require.True(t, v.Expires.Equal(end))
	get := func(now time.Time) *wire.Record {
		resp, _ := handle(t, h, now, "from", wire.Message{Type: wire.GetValue, Key: key})
		return resp.Record
	}
	require.Equal(t, uint32(59*60), get(start).TTL)
	require.NotNil(t, get(end.Add(-time.Minute-time.Second)))
	require.Nil(t, get(end.Add(-time.Minute)))
}

func TestHandlerProviders(t *testing.T) {
	known := map[kad.PeerID]wire.Peer{"self": {ID: "self", Addrs: [][]byte{[]byte("mine")}}}
	store := records.NewMem(nil)
	h := newTestHandler(store, fakeNeighbours{known: known})
	key := []byte("k")
	add := wire.Message{Type: wire.AddProvider, Key: key, ProviderPeers: []wire.Peer{{ID: "other", Addrs: addr}, {ID: "from", Addrs: addr}}}
	_, reply := handle(t, h, start, "from", add)
	require.False(t, reply, "an answer would desynchronise go clients")
	add.WantsAck = true
	resp, reply := handle(t, h, start, "from", add)
	require.True(t, reply, "py waits for it")
	require.Equal(t, wire.AddProvider, resp.Type)
	require.NoError(t, store.AddProvider(start, key, records.Provider{ID: "self", Expires: start.Add(time.Hour)}, true))

	resp, _ = handle(t, h, start, "asker", wire.Message{Type: wire.GetProviders, Key: key})
	require.Len(t, resp.ProviderPeers, 2)
	for _, p := range resp.ProviderPeers {
		want := map[kad.PeerID]string{"from": "addr", "self": "mine"}[p.ID]
		require.Equal(t, want, string(p.Addrs[0]))
	}
	resp, _ = handle(t, h, start.Add(25*time.Hour), "asker", wire.Message{Type: wire.GetProviders, Key: key})
	require.Len(t, resp.ProviderPeers, 1)
	require.Empty(t, resp.ProviderPeers[0].Addrs, "addresses are told for 24 h")
	resp, _ = handle(t, h, start.Add(48*time.Hour), "asker", wire.Message{Type: wire.GetProviders, Key: key})
	require.Empty(t, resp.ProviderPeers)
}

func TestMaxProvidersPerReply(t *testing.T) {
	store := records.NewMem(nil)
	for i := range MaxProvidersPerReply + 1 {
		p := records.Provider{ID: kad.PeerID(fmt.Sprint("p", i)), Addrs: addr, Expires: start.Add(time.Hour), AddrsExpire: start.Add(time.Hour)}
		require.NoError(t, store.AddProvider(start, []byte("k"), p, true))
	}
	var resp wire.Message
	_, err := newTestHandler(store, fakeNeighbours{}).Handle(start, Request{From: "asker", Message: &wire.Message{Type: wire.GetProviders, Key: []byte("k")}}, &resp)
	require.NoError(t, err)
	require.Len(t, resp.ProviderPeers, MaxProvidersPerReply)
}

// The addresses that a provider reports about itself now come before those of its record,
// each address once, and their number is limited.
func TestHandlerProviderSaidOtherwise(t *testing.T) {
	said := map[kad.PeerID][][]byte{}
	h := newTestHandler(records.NewMem(nil), fakeNeighbours{said: said})
	h.cfg.FilterAddrs = func(dst [][]byte, _ kad.PeerID, addrs [][]byte, _ wire.Scope) [][]byte {
		for _, a := range addrs {
			if !slices.ContainsFunc(dst, func(b []byte) bool { return string(a) == string(b) }) {
				dst = append(dst, a)
			}
		}
		return dst
	}
	announced := [][]byte{[]byte("old"), []byte("kept")}
	handle(t, h, start, "from", wire.Message{Type: wire.AddProvider, Key: []byte("k"), ProviderPeers: []wire.Peer{{ID: "from", Addrs: announced}}})
	told := func() [][]byte {
		resp, _ := handle(t, h, start, "asker", wire.Message{Type: wire.GetProviders, Key: []byte("k")})
		require.Len(t, resp.ProviderPeers, 1)
		return resp.ProviderPeers[0].Addrs
	}
	require.Equal(t, announced, told())
	said["from"] = [][]byte{[]byte("new"), []byte("kept")}
	require.Equal(t, [][]byte{[]byte("new"), []byte("kept"), []byte("old")}, told())
	said["from"] = nil
	for i := range records.MaxAddressesPerProvider {
		said["from"] = append(said["from"], fmt.Appendf(nil, "new %d", i))
	}
	require.Equal(t, said["from"], told(), "at most %d", records.MaxAddressesPerProvider)
	require.Equal(t, announced, [][]byte{[]byte("old"), []byte("kept")}, "the record is left alone")
}

func TestHandlerFindNode(t *testing.T) {
	nb := fakeNeighbours{table: manyPeers(30, 2, 8), known: map[kad.PeerID]wire.Peer{"client": {ID: "client", Addrs: addr}}}
	h := newTestHandler(records.NewMem(nil), nb)
	find := func(key string) []wire.Peer {
		resp, _ := handle(t, h, start, "peer001", wire.Message{Type: wire.FindNode, Key: []byte(key)})
		return resp.CloserPeers
	}
	require.Len(t, find("x"), 20)
	require.Len(t, find("client"), 21)
	require.Equal(t, kad.PeerID("client"), find("client")[0].ID)
	require.Len(t, find("peer005"), 20, "in the table already")
	require.Equal(t, kad.PeerID("peer005"), find("peer005")[0].ID)
	require.NotContains(t, peerIDs(find("x")), kad.PeerID("peer001"), "not the requester")

	nb.table = manyPeers(30, 40, 100)
	h = newTestHandler(records.NewMem(nil), nb)
	resp, _ := handle(t, h, start, "from", wire.Message{Type: wire.FindNode, Key: []byte("x")})
	require.Len(t, resp.CloserPeers, 20, "addresses go before peers")
	require.Len(t, nb.table[0].Addrs, 40, "the table is not touched")
}

func TestHandlerPing(t *testing.T) {
	h := newTestHandler(records.NewMem(nil), fakeNeighbours{})
	resp, reply := handle(t, h, start, "from", wire.Message{Type: wire.Ping, Key: []byte("k")})
	require.True(t, reply)
	require.Equal(t, "k", string(resp.Key))
}

// crowded is a store whose queue is full, except for durable records, which wait.
type crowded struct {
	records.Store
	durable int
}

func (c *crowded) AddProvider(now time.Time, key []byte, p records.Provider, durable bool) error {
	if !durable {
		return records.ErrBusy
	}
	c.durable++
	return c.Store.AddProvider(now, key, p, true)
}

func TestAnnouncementsWaitForABusyStore(t *testing.T) {
	store := &crowded{Store: records.NewMem(nil)}
	h := newTestHandler(store, fakeNeighbours{})
	msg := &wire.Message{Type: wire.AddProvider, Key: []byte("k"), ProviderPeers: []wire.Peer{{ID: "p", Addrs: addr}}}
	reply, err := h.Handle(time.Now(), Request{From: "p", Message: msg}, &wire.Message{})
	require.NoError(t, err)
	require.False(t, reply)
	require.Equal(t, 1, store.durable)
}
