package disktest

import (
	"io"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Full is a writer with a limited amount of space.
type Full struct {
	// Space is the number of bytes that are free.
	Space int
}

// Write writes as much of p as fits, and returns ENOSPC if that is not all of it.
func (f *Full) Write(p []byte) (int, error) {
	n := min(f.Space, len(p))
	f.Space -= n
	if n < len(p) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

// RequireError fails the test if one of the functions does not return the error of a writer
// that is full. It calls each with about fifty amounts of space that are too small, the
// largest a byte too small, and with an amount that is just enough.
func RequireError(t *testing.T, writes ...func(io.Writer) error) {
	t.Helper()
	for i, write := range writes {
		const most = 1 << 20
		enough := &Full{Space: most}
		require.NoError(t, write(enough), "function %d", i)
		size := most - enough.Space
		for space := 0; space < size; space += 1 + size/50 {
			require.ErrorIs(t, write(&Full{Space: space}), syscall.ENOSPC, "function %d, %d of %d bytes", i, space, size)
		}
		require.ErrorIs(t, write(&Full{Space: size - 1}), syscall.ENOSPC, "function %d", i)
		require.NoError(t, write(&Full{Space: size}), "function %d", i)
	}
}
