package dht

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// A reply may have MaxReply bytes; of one more, addresses are left out.
func TestMaxReply(t *testing.T) {
	reply := func(size int) *wire.Message {
		nb := fakeNeighbours{table: manyPeers(Replicas, 10, 77)}
		h := newTestHandler(records.NewMem(nil), nb)
		h.cfg.MaxReply = wire.MaxFrame
		resp, _ := handle(t, h, start, "from", wire.Message{Type: wire.FindNode, Key: []byte("x")})
		for i := range size - resp.Size() {
			a := &nb.table[0].Addrs[i%10]
			*a = append(*a, 'a')
		}
		h = newTestHandler(records.NewMem(nil), nb)
		resp, _ = handle(t, h, start, "from", wire.Message{Type: wire.FindNode, Key: []byte("x")})
		return resp
	}
	addrs := func(m *wire.Message) (n int) {
		for _, p := range m.CloserPeers {
			n += len(p.Addrs)
		}
		return n
	}
	whole := reply(wire.MaxReply)
	require.Equal(t, wire.MaxReply, whole.Size())
	require.Equal(t, 10*Replicas, addrs(whole))
	require.Equal(t, 10*Replicas-1, addrs(reply(wire.MaxReply+1)))
}

// The longest value is taken; one byte more is refused and counted.
func TestMaxValueSize(t *testing.T) {
	var over []records.Quota
	h := newTestHandler(records.NewMem(nil), fakeNeighbours{})
	h.cfg.Over = func(q records.Quota) { over = append(over, q) }
	put := func(size int) error {
		msg := &wire.Message{Type: wire.PutValue, Key: []byte("/ns/k"), Record: &wire.Record{Key: []byte("/ns/k"), Value: make([]byte, size)}}
		_, err := h.Handle(start, Request{From: "from", Message: msg}, &wire.Message{})
		return err
	}
	require.NoError(t, put(records.DefaultMaxValueSize))
	require.Empty(t, over)
	require.ErrorIs(t, put(records.DefaultMaxValueSize+1), records.ErrTooLarge)
	require.Equal(t, []records.Quota{records.QuotaValueBytes}, over)
}

// Of a provider the first MaxAddressesPerProvider addresses are kept; what is cut is counted.
func TestMaxAddressesPerProvider(t *testing.T) {
	for _, n := range []int{records.MaxAddressesPerProvider, records.MaxAddressesPerProvider + 1} {
		var over []records.Quota
		store := records.NewMem(nil)
		h := newTestHandler(store, fakeNeighbours{})
		h.cfg.Over = func(q records.Quota) { over = append(over, q) }
		p := manyPeers(1, n, 8)[0]
		p.ID = "from"
		handle(t, h, start, "from", wire.Message{Type: wire.AddProvider, Key: []byte("k"), ProviderPeers: []wire.Peer{p}})
		kept, err := store.Providers(nil, start, []byte("k"), 1)
		require.NoError(t, err)
		require.Equal(t, p.Addrs[:records.MaxAddressesPerProvider], kept[0].Addrs)
		require.Len(t, over, n-records.MaxAddressesPerProvider)
	}
}

// The bounds of a Handler may be set.
func TestHandlerBoundsAreSet(t *testing.T) {
	store := records.NewMem(nil)
	h := newTestHandler(store, fakeNeighbours{})
	h = NewHandler(HandlerConfig{
		Self: "self", Store: store, Neighbours: fakeNeighbours{}, Validate: h.cfg.Validate, FilterAddrs: h.cfg.FilterAddrs,
		MaxValueSize: 3, MaxValueTTL: time.Hour, MaxProvidersPerReply: 2, MaxAddressesPerProvider: 1,
	})
	for i := range 3 {
		p := manyPeers(1, 2, 8)[0]
		p.ID = kad.PeerID(fmt.Sprint(i))
		handle(t, h, start, p.ID, wire.Message{Type: wire.AddProvider, Key: []byte("k"), ProviderPeers: []wire.Peer{p}})
	}
	resp, _ := handle(t, h, start, "asker", wire.Message{Type: wire.GetProviders, Key: []byte("k")})
	require.Len(t, resp.ProviderPeers, 2)
	require.Len(t, resp.ProviderPeers[0].Addrs, 1)
	put := func(value string) error {
		msg := &wire.Message{Type: wire.PutValue, Key: []byte("/ns/k"), Record: &wire.Record{Key: []byte("/ns/k"), Value: []byte(value)}}
		_, err := h.Handle(start, Request{From: "from", Message: msg}, &wire.Message{})
		return err
	}
	require.NoError(t, put("123"))
	require.ErrorIs(t, put("1234"), records.ErrTooLarge)
	v, err := store.Value(start, []byte("/ns/k"))
	require.NoError(t, err)
	require.Equal(t, start.Add(time.Hour), v.Expires)
}
