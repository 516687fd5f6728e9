package dht

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// probesOf counts the probes of a peer that m sends until the given time, ticking m at its
// deadlines.
func probesOf(m *Machine, now *time.Time, id kad.PeerID, until time.Time) (n int) {
	for {
		for _, s := range m.Take().Send {
			if s.To.ID == id {
				n++
				continue
			}
			m.Responded(*now, s.ID, Response{Message: &wire.Message{}})
		}
		at, ok := m.Deadline()
		if !ok || at.After(until) {
			*now = until
			return n
		}
		*now = at
		m.Tick(*now)
	}
}

// A peer that is found to serve while its probe is in flight, or just after the probe has
// failed, is probed again when the pause ends, even if no peer names it again.
func TestFoundDuringThePause(t *testing.T) {
	for name, early := range map[string]bool{"while probed": true, "after the failure": false} {
		t.Run(name, func(t *testing.T) {
			m, now := settled(t, 1), start // while no peer is verified, none pauses
			late := kad.NewPeer("late")
			m.PeerFound(now, late, false)
			out := m.Take()
			require.Len(t, out.Send, 1)
			if early {
				m.PeerFound(now, late, true)
			}
			m.Failed(now, out.Send[0].ID, ErrNotServer)
			if !early {
				m.PeerFound(now, late, true)
			}
			require.Zero(t, probesOf(m, &now, late.ID, start.Add(FailedProbePause-1)))
			require.Equal(t, 1, probesOf(m, &now, late.ID, start.Add(FailedProbePause)))
		})
	}
}

// A peer that others name does not come back before FailedProbeMemory has passed.
func TestHearsayDuringThePause(t *testing.T) {
	m, now := settled(t, 1), start
	m.PeerFound(now, kad.NewPeer("gone"), false)
	m.Failed(now, m.Take().Send[0].ID, errors.New("refused"))
	m.PeerFound(now, kad.NewPeer("gone"), false)
	require.Zero(t, probesOf(m, &now, "gone", now.Add(FailedProbeMemory-1)))
}

func TestMaxPausing(t *testing.T) {
	var p pausing
	now := start
	for i := range 2 * MaxPausing {
		p.add(kad.NewPeer(kad.PeerID(fmt.Sprint(i))), now.Add(FailedProbePause))
		p.add(kad.NewPeer("0"), now.Add(FailedProbePause))
	}
	require.Len(t, p.queue, MaxPausing)
	require.Len(t, p.queued, MaxPausing)
	_, ok := p.pop(now)
	require.False(t, ok)
	_, ok = p.pop(now.Add(-time.Second))
	require.True(t, ok, "the clock was set back")
	for range MaxPausing - 1 {
		_, ok = p.pop(now.Add(FailedProbePause))
		require.True(t, ok)
	}
	_, ok = p.pop(now.Add(time.Hour))
	require.False(t, ok)
	require.Zero(t, p.next())
}
