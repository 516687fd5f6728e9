package records_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// Each part of a record may be as long as its bound says; one byte more is refused.
func TestBounds(t *testing.T) {
	const size = 100
	b := func(n int) []byte { return bytes.Repeat([]byte("b"), n) }
	id := func(n int) kad.PeerID { return kad.PeerID(b(n)) }
	value := func(v records.Value) error { return records.ValidateValue(&v, size) }
	published := func(p records.Published) error { return records.ValidatePublished(&p, size) }
	provider := func(key []byte, p records.Provider) error { return records.ValidateProvider(key, &p) }
	for _, tt := range []struct {
		name  string
		most  int
		check func(n int) error
	}{
		{"provider key", records.MaxKeyLen, func(n int) error { return provider(b(n), records.Provider{ID: "p"}) }},
		{"provider", records.MaxPeerIDLen, func(n int) error { return provider(b(1), records.Provider{ID: id(n)}) }},
		{"addresses", records.MaxAddressesPerProvider, func(n int) error {
			return provider(b(1), records.Provider{ID: "p", Addrs: make([][]byte, n)})
		}},
		{"address", records.MaxAddrLen, func(n int) error {
			return provider(b(1), records.Provider{ID: "p", Addrs: [][]byte{b(n)}})
		}},
		{"value key", records.MaxValueKeyLen, func(n int) error { return value(records.Value{Key: b(n)}) }},
		{"value", size, func(n int) error { return value(records.Value{Key: b(1), Value: b(n)}) }},
		{"publisher", records.MaxPeerIDLen, func(n int) error { return value(records.Value{Key: b(1), Publisher: b(n)}) }},
		{"sender", records.MaxPeerIDLen, func(n int) error {
			return value(records.Value{Key: b(1), Account: records.Account{Peer: id(n)}})
		}},
		{"group", records.MaxGroupLen, func(n int) error {
			return value(records.Value{Key: b(1), Account: records.Account{Group: string(b(n))}})
		}},
		{"published provider key", records.MaxKeyLen, func(n int) error {
			return published(records.Published{Kind: records.KindProvider, Key: b(n)})
		}},
		{"published value key", records.MaxValueKeyLen, func(n int) error {
			return published(records.Published{Kind: records.KindValue, Key: b(n)})
		}},
		{"published value", size, func(n int) error {
			return published(records.Published{Kind: records.KindValue, Key: b(1), Value: b(n)})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.NoError(t, tt.check(tt.most))
			require.ErrorIs(t, tt.check(tt.most+1), records.ErrTooLarge)
		})
	}
}

// A snapshot keeps the first peers and addresses, and leaves out what is too long.
func TestMaxSnapshotPeers(t *testing.T) {
	long := strings.Repeat("x", records.MaxPeerIDLen)
	s := records.Snapshot{Peers: []records.SnapshotPeer{{ID: kad.PeerID(long + "x")}, {ID: kad.PeerID(long)}}}
	for i := range records.MaxSnapshotPeers {
		s.Peers = append(s.Peers, records.SnapshotPeer{ID: kad.PeerID(fmt.Sprint(i))})
	}
	s.Own = [][]byte{make([]byte, records.MaxAddrLen+1)}
	for range records.MaxAddressesPerProvider + 1 {
		s.Own = append(s.Own, make([]byte, records.MaxAddrLen))
	}
	s.Peers[1].Addrs = s.Own
	got := s.Trim()
	require.Len(t, got.Peers, records.MaxSnapshotPeers)
	require.EqualValues(t, long, got.Peers[0].ID)
	require.EqualValues(t, fmt.Sprint(records.MaxSnapshotPeers-2), got.Peers[records.MaxSnapshotPeers-1].ID)
	require.Equal(t, s.Own[1:1+records.MaxAddressesPerProvider], got.Own)
	require.Equal(t, got.Own, got.Peers[0].Addrs)
}

// A Mem takes values of MaxValueSize, or of the default.
func TestMemMaxValueSize(t *testing.T) {
	for _, m := range []*records.Mem{{}, {MaxValueSize: 7}} {
		most := m.MaxValueSize
		if most == 0 {
			most = records.DefaultMaxValueSize
		}
		put := func(n int) error {
			return m.PutValue(now, records.Value{Key: []byte("k"), Value: make([]byte, n), Expires: now.Add(1e9)}, nil)
		}
		require.NoError(t, put(most))
		require.ErrorIs(t, put(most+1), records.ErrTooLarge)
	}
}
