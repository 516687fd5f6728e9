package node

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Without bootstrap peers, the first attempt ends in the same turn of the loop, not in
// the next, which may be a minute later.
func TestBootstrappedAloneAtOnce(t *testing.T) {
	n, err := New(tcpHost(t), Config{})
	require.NoError(t, err)
	require.NoError(t, n.Close()) // the test acts as the loop
	n.machine, n.joining = n.newMachine(), newJoining()
	n.bootstrapped.Store(false)
	n.machine.Restored(time.Now(), nil)
	n.settle()
	require.True(t, n.joining.isOver)
}

// A publication is scheduled and started in one turn of the loop: otherwise another call
// in between could make the schedule publish the key too.
func TestPublicationStartsInOneTurn(t *testing.T) {
	n, err := New(tcpHost(t), Config{UnvalidatedNamespaces: []string{"example"}})
	require.NoError(t, err)
	require.NoError(t, n.Close()) // the test acts as the loop
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
