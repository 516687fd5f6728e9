package main

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A health endpoint that accepts connections and does not answer belongs to a paused
// daemon. The command times out and says so.
func TestHealthOfASilentEndpoint(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = healthOverHTTP(ctx, l.Addr().String(), true, "")
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// A check after the first one does not exceed --wait by more than a second.
func TestNextHealthTimeout(t *testing.T) {
	for left, want := range map[time.Duration]time.Duration{
		-time.Second: leastHealthTimeout, 0: leastHealthTimeout, 3 * time.Second: 3 * time.Second, time.Hour: healthTimeout,
	} {
		require.Equal(t, want, nextHealthTimeout(left), left)
	}
}
