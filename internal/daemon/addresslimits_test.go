package daemon

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/config"
	"github.com/holdfast-dht/holdfast/metrics"
	"github.com/holdfast-dht/holdfast/pkg/node"
)

// limitedResources returns the resource manager of a node that is far from its limits as a
// whole, with n connections per address.
func limitedResources(t *testing.T, n int) (network.ResourceManager, *crowded, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	c := &crowded{log: slog.New(slog.NewTextHandler(&log, nil)), most: n}
	r, err := newResources(hostConfig{
		limits:  config.Limits{Memory: 1 << 30, ConnectionsLow: 10_000, ConnectionsHigh: 20_000, ConnectionsPerAddress: n},
		crowded: c,
	})
	require.NoError(t, err)
	t.Cleanup(func() { r.Close() })
	return r, c, &log
}

// A public address has as many connections as the limit and not one more; an ended one makes
// place for another. An IPv6 /56 counts as one address.
func TestConnectionsPerAddress(t *testing.T) {
	const limit = 5
	for _, c := range []struct {
		name string
		from func(i int) string
		most int
	}{
		{"IPv4", func(i int) string { return fmt.Sprintf("/ip4/198.51.100.1/tcp/%d", i+1) }, limit},
		{"IPv4, QUIC", func(i int) string { return fmt.Sprintf("/ip4/198.51.100.1/udp/%d/quic-v1", i+1) }, limit},
		{"an IPv6 /56", func(i int) string { return fmt.Sprintf("/ip6/2001:db8:0:%x::1/tcp/1", i) }, limit},
		{"an IPv6 /48", func(i int) string { return fmt.Sprintf("/ip6/2001:db8:0:%x00::1/tcp/1", i) }, sitesPerOne * limit},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, refused, _ := limitedResources(t, limit)
				open := func(i int) (network.ConnManagementScope, error) {
					return r.OpenConnection(network.DirInbound, true, ma.StringCast(c.from(i)))
				}
				var last network.ConnManagementScope
				for i := range c.most {
					s, err := open(i)
					require.NoError(t, err, i)
					last = s
				}
				require.Zero(t, refused.counts())
				_, err := open(c.most)
				require.Error(t, err)
				require.Equal(t, metrics.RefusedConnections{Limit: 1}, refused.counts())
				_, err = r.OpenConnection(network.DirInbound, true, ma.StringCast("/ip4/198.51.100.2/tcp/1"))
				require.NoError(t, err, "another address")
				last.Done()
				_, err = open(c.most)
				require.NoError(t, err)
			})
		})
	}
}

// Machines of a private network, and peers behind a NAT in front of the node, have one address
// without being refused.
func TestPrivateAddressesAreUnlimited(t *testing.T) {
	const several = 40 // fewer than may be open before their peer is identified
	for _, from := range strings.Fields(`/ip4/10.1.2.3 /ip4/172.17.0.1 /ip4/192.168.1.1 /ip4/100.64.0.1 /ip4/169.254.1.1
		/ip4/127.0.0.1 /ip6/fd00::1 /ip6/fe80::1 /ip6/::1`) {
		r, refused, _ := limitedResources(t, 1)
		for i := range several {
			_, err := r.OpenConnection(network.DirInbound, true, ma.StringCast(fmt.Sprintf("%s/tcp/%d", from, i+1)))
			require.NoError(t, err, "%s %d", from, i)
		}
		require.Zero(t, refused.counts())
	}
}

// An address may open twice the limit at once, as many as the limit within connectionRefill,
// and not one more. The node's own dials have no rate.
func TestNewConnectionsPerAddress(t *testing.T) {
	for _, from := range []string{"/ip4/198.51.100.1/tcp/1", "/ip6/2001:db8::1/tcp/1"} {
		synctest.Test(t, func(t *testing.T) {
			const limit = 5
			r, refused, _ := limitedResources(t, limit)
			open := func(dir network.Direction) error {
				s, err := r.OpenConnection(dir, true, ma.StringCast(from))
				if err == nil {
					s.Done()
				}
				return err
			}
			for range connectionBurst * limit {
				require.NoError(t, open(network.DirInbound))
			}
			require.ErrorIs(t, open(network.DirInbound), errAddressRate)
			require.Equal(t, metrics.RefusedConnections{Rate: 1}, refused.counts())
			require.NoError(t, open(network.DirOutbound))
			time.Sleep(connectionRefill)
			for range limit {
				require.NoError(t, open(network.DirInbound))
			}
			require.ErrorIs(t, open(network.DirInbound), errAddressRate)
		})
	}
}

// At a limit of the whole node nothing is counted as a refusal per address.
func TestOtherLimitsAreNotPerAddress(t *testing.T) {
	var c crowded
	r, err := newResources(hostConfig{
		limits:  config.Limits{Memory: 1 << 30, ConnectionsLow: 1, ConnectionsHigh: 2, ConnectionsPerAddress: 1000},
		crowded: &c,
	})
	require.NoError(t, err)
	for i := 0; err == nil; i++ {
		_, err = r.OpenConnection(network.DirInbound, true, ma.StringCast(fmt.Sprintf("/ip4/198.51.100.%d/tcp/1", i%250)))
	}
	require.ErrorIs(t, err, network.ErrResourceLimitExceeded)
	require.NoError(t, r.Close())
	require.Zero(t, c.counts())
}

// Refusals are logged once in crowdedEvery, with the address and the setting.
func TestCrowdedIsLoggedOnceInAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, refused, log := limitedResources(t, 1)
		open := func() { _, _ = r.OpenConnection(network.DirOutbound, true, ma.StringCast("/ip4/198.51.100.1/tcp/1")) }
		open()
		require.Empty(t, log.String())
		for range 10 {
			open()
		}
		require.Equal(t, 1, strings.Count(log.String(), "\n"))
		for _, part := range []string{"level=WARN", "limits.connections_per_address", "address=/ip4/198.51.100.1/tcp/1", "limit=1"} {
			require.Contains(t, log.String(), part)
		}
		time.Sleep(crowdedEvery - 1)
		open()
		require.Equal(t, 1, strings.Count(log.String(), "\n"))
		time.Sleep(time.Nanosecond)
		open()
		require.Equal(t, 2, strings.Count(log.String(), "\n"))
		require.Equal(t, metrics.RefusedConnections{Limit: 12}, refused.counts())
	})
}

// What a daemon refuses is in its metrics, in the failures of the overview and, as a log line,
// in its warnings.
func TestRefusedConnectionsAreReported(t *testing.T) {
	d := start(t, t.TempDir(), config.Setting{Key: "limits.connections_per_address", Value: "2"})
	resources := d.host.Network().ResourceManager()
	open := func() error {
		_, err := resources.OpenConnection(network.DirInbound, true, ma.StringCast("/ip4/198.51.100.1/tcp/1"))
		return err
	}
	require.NoError(t, open())
	require.NoError(t, open())
	require.Error(t, open())
	require.Error(t, open())
	require.ErrorIs(t, open(), errAddressRate)
	_, text := fetch(t, "http://"+d.web.addr+"/metrics")
	require.Contains(t, text, `holdfast_connections_refused_total{reason="address_limit"} 2`)
	require.Contains(t, text, `holdfast_connections_refused_total{reason="address_rate"} 1`)
	f := failuresOf(d.sample(new(node.Status), new(metrics.Totals)).Counters, time.Minute)
	require.Equal(t, map[string]uint64{metrics.RefusedLimit: 2, metrics.RefusedRate: 1}, f.In)
	require.EqualValues(t, 3, f.InTotal)
	o, err := d.backend.Overview(t.Context())
	require.NoError(t, err)
	require.Len(t, o.Warnings, 1)
	require.Contains(t, o.Warnings[0].Text, "limits.connections_per_address")
}
