package daemon

import (
	"testing"

	"github.com/ipfs/boxo/routing/http/client"
	"github.com/ipfs/boxo/routing/http/types"
	"github.com/ipfs/boxo/routing/http/types/iter"
	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/config"
)

func TestDelegatedRouting(t *testing.T) {
	d := start(t, t.TempDir(), config.Setting{Key: "routing_api.listen", Value: "127.0.0.1:0"})
	s, err := d.Backend().Status(t.Context())
	require.NoError(t, err)
	sum, err := multihash.Sum([]byte("content"), multihash.SHA2_256, -1)
	require.NoError(t, err)
	_, err = d.Backend().Provide(t.Context(), sum)
	require.NoError(t, err)

	c, err := client.New("http://" + s.RoutingAddr)
	require.NoError(t, err)
	found, err := c.FindProviders(t.Context(), cid.NewCidV1(cid.Raw, sum))
	require.NoError(t, err)
	all, err := iter.ReadAllResults(found)
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Equal(t, d.ID(), *all[0].(*types.PeerRecord).ID)

	// It is a listener of its own: neither serves what the other does.
	code, _ := fetch(t, "http://"+s.RoutingAddr+"/metrics")
	require.Equal(t, 404, code)
	code, _ = fetch(t, "http://"+d.web.addr+"/routing/v1/providers/x")
	require.Equal(t, 404, code)
	_, text := fetch(t, "http://"+d.web.addr+"/metrics")
	require.Contains(t, text, "delegated_routing_server")
}

func TestDelegatedRoutingIsOffByDefault(t *testing.T) {
	d := start(t, t.TempDir())
	require.Nil(t, d.routing)
}
