//go:build force

package force

import (
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage"
)

// pauses are the durations of consecutive calls.
type pauses struct {
	took []time.Duration
}

func (p *pauses) longest() time.Duration {
	if len(p.took) == 0 {
		return 0
	}
	return slices.Max(p.took).Round(10 * time.Microsecond)
}

func (p *pauses) at(share float64) time.Duration {
	if len(p.took) == 0 {
		return 0
	}
	slices.Sort(p.took)
	return p.took[int(float64(len(p.took)-1)*share)].Round(time.Microsecond)
}

// TestExpireMillion removes a million expired records while a reader and a writer are
// running, and logs the longest pause of each, next to those without expiry.
func TestExpireMillion(t *testing.T) {
	n := forced(t, 100_000, 1_000_000)
	dir := t.TempDir()
	db, err := storage.Open(dir, storage.Options{})
	require.NoError(t, err)
	now := epochStart
	add := func(i int, ttl time.Duration) {
		for {
			p := records.Provider{ID: kad.PeerID("peer" + string(rune('a'+i%1000))), Expires: now.Add(ttl)}
			err := db.AddProvider(now, binary.BigEndian.AppendUint64(nil, uint64(i)), p, false)
			if err == nil {
				return
			}
			require.ErrorIs(t, err, records.ErrBusy)
			pause(time.Millisecond)
		}
	}
	live := n / 10
	for i := range live {
		add(i, 47*time.Hour)
	}
	for i := range n {
		add(live+i, time.Hour+time.Duration(i%3600)*time.Second)
	}
	require.NoError(t, db.Flush())
	require.EqualValues(t, n+live, db.Stats().Records[records.KindProvider])

	later := now.Add(2*time.Hour + records.ExpireGrace)
	beforeRead, beforeWrite := both(t, db, later, live, func() { pause(3 * time.Second) })
	var took time.Duration
	removed := int64(0)
	read, write := both(t, db, later, live, func() {
		began := time.Now()
		for more := true; more; {
			x, err := db.Expire(later)
			require.NoError(t, err)
			removed, more = removed+x.Records[records.KindProvider], x.More
		}
		took = time.Since(began)
		pause(2 * time.Second) // include the background work afterwards
	})
	require.EqualValues(t, n, removed)
	require.NoError(t, db.Close())
	requireSound(t, dir)
	t.Logf("FORCE store: %d expired records removed in %s; longest pause of a reader %s (without expiry %s; 99.9%% under %s and %s), of a durable writer %s (%s; %s and %s)",
		n, took.Round(time.Millisecond), read.longest(), beforeRead.longest(), read.at(.999), beforeRead.at(.999),
		write.longest(), beforeWrite.longest(), write.at(.999), beforeWrite.at(.999))
}

// both runs a reader and a writer during an operation.
func both(t *testing.T, db *storage.DB, now time.Time, live int, do func()) (read, write pauses) {
	t.Helper()
	var stop atomic.Bool
	var wg sync.WaitGroup
	var failed error
	wg.Go(func() {
		for i := 0; !stop.Load(); i++ {
			began := time.Now()
			ps, err := db.Providers(nil, now, binary.BigEndian.AppendUint64(nil, uint64(i%live)), 20)
			read.took = append(read.took, time.Since(began))
			if err != nil || len(ps) == 0 {
				failed = errors.Join(errLost, err)
			}
		}
	})
	wg.Go(func() {
		for i := 0; !stop.Load(); i++ {
			began := time.Now()
			err := db.AddProvider(now, binary.BigEndian.AppendUint64([]byte("new"), uint64(i)), records.Provider{ID: "writer", Expires: now.Add(time.Hour)}, true)
			write.took = append(write.took, time.Since(began))
			if err != nil && !errors.Is(err, records.ErrBusy) {
				t.Error(err)
				return
			}
		}
	})
	do()
	stop.Store(true)
	wg.Wait()
	require.NoError(t, failed)
	return read, write
}
