package rpc

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"
)

func TestDialErrorReasons(t *testing.T) {
	who, refused := peer.ID("\x00\x01a"), errors.New("connection\n refused")
	tried := []swarm.TransportError{
		{Address: ma.StringCast("/ip4/1.2.3.4/tcp/1"), Cause: refused},
		{Address: ma.StringCast("/ip4/5.6.7.8/tcp/1"), Cause: context.DeadlineExceeded},
	}
	for name, c := range map[string]struct {
		err  error
		want string
		is   error
	}{
		"addresses": {
			&swarm.DialError{Peer: who, DialErrors: tried, Cause: swarm.ErrAllDialsFailed},
			"[/ip4/1.2.3.4/tcp/1] connection refused; [/ip4/5.6.7.8/tcp/1] context deadline exceeded", context.DeadlineExceeded,
		},
		"more than are kept": {
			&swarm.DialError{Peer: who, DialErrors: tried[:1], Cause: swarm.ErrAllDialsFailed, Skipped: 3},
			"[/ip4/1.2.3.4/tcp/1] connection refused; 3 more addresses", refused,
		},
		"no address":      {&swarm.DialError{Peer: who, Cause: swarm.ErrNoAddresses}, "no addresses", swarm.ErrNoAddresses},
		"no cause":        {&swarm.DialError{Peer: who}, "failed to dial " + who.String() + ":", nil},
		"not from a dial": {context.Canceled, "context canceled", context.Canceled},
	} {
		e := NewDialError(who, fmt.Errorf("failed to dial: %w", c.err))
		if name == "not from a dial" {
			e = NewDialError(who, c.err)
		}
		require.Equal(t, who, e.Peer, name)
		require.Equal(t, c.want, e.Reasons.String(), name)
		require.EqualError(t, e, "dial "+who.String()+": "+c.want, name)
		if c.is != nil {
			require.ErrorIs(t, e, c.is, name)
		}
	}
}

// The error of a real dial is parsed: each address has its reason.
func TestDialErrorOfAHost(t *testing.T) {
	h, remote := newHosts(t, transports["tcp"])
	c := newClient(t, h, ClientConfig{}, nil)
	gone := remote.Addrs()[0]
	require.NoError(t, remote.Close())
	_, err := c.Request(t.Context(), remote.ID(), ping("k"))
	var dial *DialError
	require.ErrorAs(t, err, &dial)
	require.ErrorIs(t, err, ErrUnreachable)
	require.Equal(t, remote.ID(), dial.Peer)
	require.Len(t, dial.Reasons, 1)
	require.True(t, dial.Reasons[0].Addr.Equal(gone))
	require.ErrorContains(t, dial.Reasons[0].Err, "refused")
}
