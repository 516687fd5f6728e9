package storage

import (
	"errors"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/holdfast-dht/holdfast/storage/internal/disk"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// The possible size of the files takes the space on the disk into account.
func TestSizesKnowTheDisk(t *testing.T) {
	dir := t.TempDir()
	db := openTest(t, dir, Options{Options: runs.Options{NoSync: true, MaxBytes: 1 << 45}})
	s, err := db.Sizes()
	require.NoError(t, err)
	require.Positive(t, s.Disk.Total)
	require.GreaterOrEqual(t, s.Disk.Total, s.Disk.Free)
	require.LessOrEqual(t, s.Most, s.File+s.Disk.Total)
	require.NoError(t, db.TryWrite(1<<20))
}

// The files never exceed the address space of this machine, whatever is configured.
func TestMaxBytesFitTheMachine(t *testing.T) {
	require.Equal(t, disk.MostBytes, Options{Options: runs.Options{MaxBytes: math.MaxInt64}}.WithDefaults().MaxBytes)
}

func TestFill(t *testing.T) {
	capacity := disk.Capacity{Used: 40, Free: 10, Limit: 100}
	for _, c := range []struct {
		space disk.Space
		want  float64
	}{
		{disk.Space{}, 0.4}, // unknown
		{disk.Space{Free: 1000, Total: 2000}, 0.4},
		{disk.Space{Free: 50, Total: 2000}, 0.4},
		{disk.Space{Free: 30, Total: 2000}, 0.5},
		{disk.Space{Free: 0, Total: 2000}, 0.8},
	} {
		require.InDelta(t, c.want, capacity.Fill(c.space), 1e-9, "%+v", c.space)
	}
	require.InDelta(t, 1.5, disk.Capacity{Used: 150, Limit: 100}.Fill(disk.Space{}), 1e-9)
}

// A full disk is distinguished from a database at MaxBytes.
func TestErrDiskFull(t *testing.T) {
	own := disk.Full(berrors.ErrMaxSizeReached)
	require.ErrorIs(t, own, ErrFull)
	require.NotErrorIs(t, own, ErrDiskFull)
	disks := disk.Full(errors.New("file resize error: no space left on device"))
	require.ErrorIs(t, disks, ErrFull)
	require.ErrorIs(t, disks, ErrDiskFull)
}
