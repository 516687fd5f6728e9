package daemon

import (
	"strings"
	"testing"

	"github.com/ipfs/boxo/routing/http/client"
	"github.com/ipfs/boxo/routing/http/types"
	"github.com/ipfs/boxo/routing/http/types/iter"
	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/config"
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

	// It is a separate listener: neither serves the paths of the other.
	code, _ := fetch(t, "http://"+s.RoutingAddr+"/metrics")
	require.Equal(t, 404, code)
	code, _ = fetch(t, "http://"+d.web.addr+"/routing/v1/providers/x")
	require.Equal(t, 404, code)
	_, text := fetch(t, "http://"+d.web.addr+"/metrics")
	require.Contains(t, text, "delegated_routing_server")
}

// A node without peers answers 503, and returns its own addresses only on request.
func TestDelegatedRoutingOfALonelyNode(t *testing.T) {
	for _, private := range []string{"false", "true"} {
		d := start(t, t.TempDir(), config.Setting{Key: "routing_api.listen", Value: "127.0.0.1:0"}, config.Setting{Key: "routing_api.private_addresses", Value: private})
		code, text := fetch(t, "http://"+d.routing.addr+"/routing/v1/peers/"+d.ID().String())
		require.Equal(t, 200, code)
		require.Equal(t, private == "true", strings.Contains(text, "/ip4/127.0.0.1/"), text)
		code, text = fetch(t, "http://"+d.routing.addr+"/routing/v1/providers/bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku")
		require.Equal(t, 503, code, text)
		code, text = fetch(t, "http://"+d.routing.addr+"/routing/v1/dht/closest/peers/bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku")
		require.Equal(t, 503, code, text)
	}
}

func TestDelegatedRoutingIsOffByDefault(t *testing.T) {
	d := start(t, t.TempDir())
	require.Nil(t, d.routing)
}
