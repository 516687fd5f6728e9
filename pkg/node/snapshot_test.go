package node

import (
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/dht"
)

// An unchanged table is saved again after snapshotAge intervals. A table whose peers do
// not answer is not saved.
func TestSnapshotAge(t *testing.T) {
	h := tcpHost(t)
	n, err := New(tcpHost(t), Config{})
	require.NoError(t, err)
	defer n.Close()
	other, err := New(h, Config{})
	require.NoError(t, err)
	defer other.Close()
	due := func() (at []int) {
		require.NoError(t, n.ask(func(now time.Time, _ *dht.Machine) {
			n.takeSnapshot(now)
			for i := range 2 * snapshotAge {
				if n.snapshotDue() {
					at = append(at, i+1)
					n.takeSnapshot(now)
				}
			}
		}))
		return at
	}
	require.Empty(t, due())
	_, errs := n.Connect(t.Context(), []peer.AddrInfo{{ID: h.ID(), Addrs: h.Addrs()}})
	require.Empty(t, errs)
	require.NoError(t, n.Joined(t.Context()))
	require.Equal(t, []int{snapshotAge, 2 * snapshotAge}, due())
}
