package node

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Without bootstrap peers the first attempt is over in the turn of the loop that makes it,
// not in the next, which may come a minute later.
func TestBootstrappedAloneAtOnce(t *testing.T) {
	n, err := New(tcpHost(t), Config{})
	require.NoError(t, err)
	require.NoError(t, n.Close()) // the test is the loop now
	n.machine, n.joining = n.newMachine(), newJoining()
	n.bootstrapped.Store(false)
	n.machine.Restored(time.Now(), nil)
	n.settle()
	require.True(t, n.joining.isOver)
}

// A publication is scheduled and started in one turn of the loop: in between another call
// could have the schedule publish the key as well.
func TestPublicationStartsInOneTurn(t *testing.T) {
	n, err := New(tcpHost(t), Config{UnvalidatedNamespaces: []string{"example"}})
	require.NoError(t, err)
	require.NoError(t, n.Close()) // the test is the loop now
	n.machine, n.calls, n.stop, n.loopDone = n.newMachine(), make(chan call), make(chan struct{}), make(chan struct{})
	turns := 0
	go func() {
		defer close(n.loopDone)
		for c := range n.calls {
			c(time.Now(), n.machine)
			n.settle()
			turns++
		}
	}()
	res, err := n.Publish(t.Context(), []byte("/example/k"), []byte("v"))
	require.NoError(t, err)
	require.Zero(t, res.StoredAt)
	close(n.calls)
	<-n.loopDone
	require.Equal(t, 1, turns)
	require.Equal(t, 1, n.machine.Schedule().Stats(time.Now()).Keys)
}
