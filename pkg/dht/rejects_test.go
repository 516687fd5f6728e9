package dht

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

func TestRejects(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var r rejects
	r.add("a", now)
	r.add("b", now.Add(time.Minute))
	require.True(t, r.has("a", now.Add(time.Minute), RejectMemory))
	require.False(t, r.has("a", now.Add(time.Minute), time.Minute), "longer ago than asked for")
	require.False(t, r.has("c", now, RejectMemory))

	r.add("a", now.Add(2*time.Minute)) // again
	r.expire(now.Add(RejectMemory))
	require.True(t, r.has("a", now.Add(RejectMemory), RejectMemory), "its first failure is forgotten, its second is not")
	require.Len(t, r.order, 2)

	r.expire(now.Add(RejectMemory + 2*time.Minute))
	require.Nil(t, r.last, "nothing to remember takes no memory")
	require.Nil(t, r.order)

	for i := range MaxRejects + 10 {
		r.add(kad.PeerID(fmt.Sprint(i)), now)
	}
	require.Len(t, r.last, MaxRejects)
	require.False(t, r.has("0", now, RejectMemory), "the oldest went first")
}
