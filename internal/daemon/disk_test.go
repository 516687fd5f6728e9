package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/storage"
)

// fakeDisk is a fake disk for a diskWatch.
type fakeDisk struct {
	mu    sync.Mutex
	free  int64
	quota bool // refuses writes, whatever the free space
}

func (d *fakeDisk) set(free int64, quota bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.free, d.quota = free, quota
}

func (d *fakeDisk) DiskSpace() (storage.DiskSpace, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return storage.DiskSpace{Free: d.free, Total: 1 << 30}, nil
}

func (d *fakeDisk) TryWrite(size int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.quota || int64(size) > d.free {
		return errors.New("no space")
	}
	return nil
}

type countErrors struct{ n int }

func (*countErrors) Committed(int, time.Duration)     {}
func (c *countErrors) StorageError(_ string, _ error) { c.n++ }

// A disk counts as full from the first write that it refuses, or from almost no free
// space, until it accepts writes again. Each change is one line in the log.
func TestDiskWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, next := &buffer{}, &countErrors{}
		w := newDiskWatch(next, slog.New(slog.NewTextHandler(out, nil)))
		d := &fakeDisk{free: 1 << 29}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { w.run(ctx, d); close(done) }()
		wait := func(long time.Duration) { time.Sleep(long); synctest.Wait() }
		lines := func(level string) int { return strings.Count(out.String(), "level="+level) }
		refuse := func(err error) { w.StorageError("commit", err); synctest.Wait() }
		wait(time.Minute)
		require.False(t, w.full())
		refuse(fmt.Errorf("%w: max_bytes", storage.ErrFull))
		require.False(t, w.full(), "the database has reached its own bound")
		require.Equal(t, 1, next.n)

		d.set(1<<29, true) // a quota on the file system
		refuse(fmt.Errorf("%w: %w", storage.ErrFull, storage.ErrDiskFull))
		require.True(t, w.full(), "at once")
		require.Equal(t, 1, lines("WARN"))
		require.Contains(t, w.remark(d), "512 MiB of 1.0 GiB free")
		wait(time.Hour)
		refuse(fmt.Errorf("%w: %w", storage.ErrFull, storage.ErrDiskFull))
		require.Equal(t, time.Hour, time.Since(w.fullSince()), "while nothing is written as well")
		require.Equal(t, 1, lines("WARN"))
		d.set(1<<29, false)
		wait(diskEvery)
		require.False(t, w.full())
		require.Empty(t, w.remark(d))
		require.Equal(t, 1, lines("INFO"))

		d.set(diskLeast, false)
		wait(diskEvery)
		require.False(t, w.full())
		d.set(diskLeast-1, false) // there are no writes
		wait(diskEvery)
		require.True(t, w.full())
		d.set(diskTry-1, false)
		wait(diskEvery)
		require.True(t, w.full())
		d.set(diskTry, false)
		wait(diskEvery)
		require.False(t, w.full())
		require.Equal(t, []int{2, 2}, []int{lines("WARN"), lines("INFO")})
		cancel()
		<-done
	})
}
