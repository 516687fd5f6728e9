package storage

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/wire"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// A snapshot from a version that did not save the node's own addresses can be read.
func TestSnapshotWithoutOwnAddresses(t *testing.T) {
	s := records.Snapshot{
		Taken: time.Unix(1, 0).UTC(),
		Peers: []records.SnapshotPeer{{ID: kad.PeerID("p"), Addrs: [][]byte{{1}}}},
	}
	payload, err := disk.Unseal(bucketSnapshot, keySnapshot, encodeSnapshot(&s))
	require.NoError(t, err)
	old := append(disk.NewRow(len(payload)), payload[:len(payload)-1]...)
	got, err := decodeSnapshot(disk.Seal(bucketSnapshot, keySnapshot, old))
	require.NoError(t, err)
	require.Equal(t, s, got)

	s.Own = [][]byte{{3, 4}}
	got, err = decodeSnapshot(encodeSnapshot(&s))
	require.NoError(t, err)
	require.Equal(t, s, got)
}

// A snapshot from a version that saved when each peer had answered, and how fast, can be
// read.
func TestSnapshotWithTimesOfPeers(t *testing.T) {
	s := records.Snapshot{
		Taken: time.Unix(1, 0).UTC(),
		Peers: []records.SnapshotPeer{
			{ID: "p", Addrs: [][]byte{{1}}, Scope: wire.ScopePrivate}, {ID: "q", Addrs: [][]byte{{2}, {3}}},
		},
	}
	payload, err := disk.Unseal(bucketSnapshot, keySnapshot, encodeSnapshot(&s))
	require.NoError(t, err)
	old := append(disk.NewRow(len(payload)), payload...)
	for _, id := range []string{"p", "q"} {
		at := bytes.Index(old, append([]byte(id), unusedOfPeer[:]...)) + len(id)
		binary.BigEndian.PutUint64(old[at:], uint64(time.Unix(2, 0).UnixNano()))
		binary.BigEndian.PutUint64(old[at+8:], uint64(time.Millisecond))
	}
	got, err := decodeSnapshot(disk.Seal(bucketSnapshot, keySnapshot, old))
	require.NoError(t, err)
	require.Equal(t, s, got)
}
