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
