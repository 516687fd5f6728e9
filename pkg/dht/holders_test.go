package dht

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/wire"
	"github.com/holdfast-dht/holdfast/republish"
)

func TestEnoughHolders(t *testing.T) {
	for sent, want := range []int{0, 1, 1, 2, 2, 3, 3} {
		require.Equal(t, want, EnoughHolders(sent), "of %d", sent)
	}
	require.Equal(t, 10, EnoughHolders(Replicas))
}

// Peers that a publication did not reach in time count too: one holder of two peers asked
// so far is one of twenty.
func TestPeersNotReachedCount(t *testing.T) {
	m := settled(t, 30)
	it := republish.Item{Key: kad.KeyOf([]byte("key")), Kind: uint8(records.KindProvider)}
	m.Scheduled(start, it, start.Add(time.Hour), false)
	_, err := m.Start(start, Query{Kind: StoreProvider, Key: []byte("key"), Publish: &it})
	require.NoError(t, err)
	q := m.queries.list[0].x
	for i := range MaxQueryRequests { // leave no place free
		_, err := m.Start(start, Query{Kind: FindClosest, Key: fmt.Append(nil, "other", i)})
		require.NoError(t, err)
	}
	for q.storedAt == 0 {
		m.Responded(start, q.requests[0], Response{Message: &wire.Message{}})
	}
	require.LessOrEqual(t, q.sent, 2)
	m.Tick(start.Add(QueryTimeout))
	out := m.Take().Published
	require.Len(t, out, 1)
	require.Equal(t, []int{1, Replicas}, []int{out[0].Holders, out[0].Asked})
	require.False(t, out[0].OK)
	require.Equal(t, start.Add(QueryTimeout+PublishRetry), out[0].Due)
}

// A key that is unscheduled while its caller publishes it stays unscheduled if the caller
// gives up.
func TestCancelledAfterUnscheduled(t *testing.T) {
	m := settled(t, 30)
	it := republish.Item{Key: kad.KeyOf([]byte("key")), Kind: uint8(records.KindProvider)}
	m.Scheduled(start, it, start.Add(time.Hour), false)
	id, err := m.Start(start, Query{Kind: StoreProvider, Key: []byte("key"), Publish: &it})
	require.NoError(t, err)
	m.Unscheduled(it)
	m.Cancel(start, id)
	require.Zero(t, m.Schedule().Stats(start).Keys)
}
