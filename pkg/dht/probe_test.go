package dht

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/kbucket"
)

// Two nodes with full tables do not answer each other's probes with probes: a peer that
// asks and does not fit in the table is not probed.
func TestNobodyIsProbedForNothing(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	m := New(Config{Self: kad.Peer{ID: "self"}, Replicas: 2, Table: kbucket.Config{Replacements: 1}})
	m.Restored(now, nil)
	m.Take()
	peer := func(i int) kad.Peer {
		return kad.Peer{ID: kad.PeerID(fmt.Sprint("p", i)), Key: kad.Key{0: 0x80, 31: byte(i)}}
	}
	probe := func(i int) (sent []Send) {
		m.PeerFound(now, peer(i), true)
		for _, s := range m.Take().Send {
			if s.Query == 0 {
				sent = append(sent, s)
			}
		}
		for _, s := range sent {
			m.Responded(now, s.ID, Response{})
		}
		return sent
	}
	for i := range 3 { // two entries and a spare
		require.Len(t, probe(i), 1, "peer %d", i)
	}
	for i := range 5 {
		require.Empty(t, probe(i), "peer %d", i)
	}
}

// A peer that has failed and answers again is treated like any other: lookups ask it when
// others name it.
func TestWhoAnswersAgainIsAskedAgain(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	m := New(Config{Self: kad.Peer{ID: "self"}})
	m.Restored(now, nil)
	back := kad.NewPeer("back")
	probe := func() RequestID {
		m.Take()
		m.PeerFound(now, back, true)
		return m.Take().Send[0].ID
	}
	m.Failed(now, probe(), errors.New("refused"))
	require.Empty(t, m.askable(now, []kad.Peer{back}))
	m.Responded(now, probe(), Response{})
	require.Len(t, m.askable(now, []kad.Peer{back}), 1)
}
