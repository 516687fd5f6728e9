package dht

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Provider records are republished soon after a new address, once for several addresses.
func TestMoved(t *testing.T) {
	w := newPacedWorld(0)
	w.run(start.Add(time.Second))
	w.publish(10)
	w.run(start.Add(time.Hour))
	l := w.servers["peer 0"]
	require.Equal(t, 10, l.total)
	w.m.Moved(w.now)
	w.run(w.now.Add(time.Second))
	w.m.Moved(w.now)
	w.run(w.now.Add(MovedSettle - 2*time.Second))
	require.Equal(t, 10, l.total, "more addresses may follow")
	w.run(w.now.Add(3 * time.Second))
	require.Equal(t, 20, l.total)
	w.run(w.now.Add(MovedInterval))
	require.Equal(t, 20, l.total)
}

// Addresses that change all the time cause one republication in MovedInterval, and the
// regular one continues.
func TestMovedAllTheTime(t *testing.T) {
	w := newPacedWorld(0)
	w.run(start.Add(time.Second))
	w.publish(10)
	for range 6 * 60 {
		w.run(w.now.Add(time.Minute))
		w.m.Moved(w.now)
	}
	require.Equal(t, 10+6*10, w.servers["peer 0"].total)
}
