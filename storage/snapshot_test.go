package storage

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// A snapshot of a version that did not save the node's own addresses is read.
func TestSnapshotWithoutOwnAddresses(t *testing.T) {
	s := records.Snapshot{
		Taken: time.Unix(1, 0).UTC(),
		Peers: []records.SnapshotPeer{{ID: kad.PeerID("p"), Addrs: [][]byte{{1}}, LastVerified: time.Unix(2, 0).UTC()}},
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
