package node

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// Dialling bootstrap peers that do not answer takes longer than the time between two
// attempts. An attempt during that time leaves its part of the snapshot to the next.
func TestRetryLeavesNobodyOut(t *testing.T) {
	n := &Node{cfg: Config{Retrying: func() {}, Snapshots: records.NewMem(nil)}, calls: make(chan call, 1)}
	n.machine = dht.New(dht.Config{Self: kad.NewPeer("self")})
	n.bootstrapping.Store(true)
	n.retry()
	require.Zero(t, n.retried)
	n.bootstrapping.Store(false)
	n.retry()
	n.workers.Wait()
	require.Equal(t, dht.MaxProbes, n.retried)
}
