package daemon

import (
	"errors"
	"testing"
	"time"

	ds "github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/failstore"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/storage"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

func TestStarts(t *testing.T) {
	dir := t.TempDir()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i := range int64(15) {
		store, err := storage.OpenDatastore(dir, storage.Options{Options: runs.Options{NoSync: true}})
		require.NoError(t, err)
		s, err := noteStart(t.Context(), store, startNote{At: at.Add(time.Duration(i) * time.Hour), Version: "v", Clean: i%5 != 3})
		require.NoError(t, err)
		require.Equal(t, i+1, s.Count)
		require.Equal(t, (i+2)/5, s.Unclean)
		require.Len(t, s.Last, int(min(i+1, keptStarts)))
		require.Equal(t, startNote{At: at.Add(time.Duration(i) * time.Hour), Version: "v", Clean: i%5 != 3}, s.Last[len(s.Last)-1])
		require.NoError(t, store.Close())
	}
}

// TestStatusCountsStarts starts a daemon twice.
func TestStatusCountsStarts(t *testing.T) {
	dir := t.TempDir()
	for i := range int64(2) {
		d := start(t, dir)
		s, err := d.backend.Status(t.Context())
		require.NoError(t, err)
		require.Equal(t, []int64{i + 1, 0}, []int64{s.Starts, s.UncleanStarts})
		require.NoError(t, d.Close())
	}
}

func TestStartsUnreadable(t *testing.T) {
	store := ds.NewMapDatastore()
	require.NoError(t, store.Put(t.Context(), startsKey, []byte("not JSON")))
	s, err := noteStart(t.Context(), store, startNote{})
	require.NoError(t, err)
	require.EqualValues(t, 1, s.Count)
	s, err = noteStart(t.Context(), store, startNote{Clean: true})
	require.NoError(t, err)
	require.Equal(t, []int64{2, 1}, []int64{s.Count, s.Unclean})

	broken := errors.New("broken")
	for _, op := range []string{"get", "put"} {
		_, err = noteStart(t.Context(), failstore.NewFailstore(store, func(o string) error {
			if o == op {
				return broken
			}
			return nil
		}), startNote{})
		require.ErrorIs(t, err, broken)
	}
}
