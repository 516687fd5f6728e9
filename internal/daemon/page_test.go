package daemon

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/config"
)

// The overview of a daemon that stops has all sectors, without keys.
func TestOverviewAfterClose(t *testing.T) {
	d := start(t, t.TempDir())
	_, err := d.Backend().Provide(t.Context(), []byte("content"))
	require.NoError(t, err)
	o, err := d.Backend().Overview(t.Context())
	require.NoError(t, err)
	require.Len(t, o.Ring, ringSectors)
	require.NotEqual(t, make([]api.Sector, ringSectors), o.Ring)
	require.NoError(t, d.Close())
	o, err = d.Backend().Overview(t.Context())
	require.NoError(t, err)
	require.Equal(t, make([]api.Sector, ringSectors), o.Ring)
}

// The page and its data are on the metrics listener, and name no peer except the node.
func TestStatusPage(t *testing.T) {
	a := start(t, t.TempDir())
	b := start(t, t.TempDir(), config.Setting{Key: "network.bootstrap", List: a.Addrs()[:1]})
	require.NoError(t, b.WaitForPeer(t.Context()))
	_, err := b.Backend().Provide(t.Context(), []byte("content"))
	require.NoError(t, err)

	code, text := fetch(t, "http://"+a.web.addr+"/")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, text, "<!doctype html>")
	var o api.Overview
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		code, text = fetch(c, "http://"+a.web.addr+"/status.json")
		require.Equal(c, http.StatusOK, code)
		require.NoError(c, json.Unmarshal([]byte(text), &o))
		require.EqualValues(c, 1, o.Status.ProviderRecords)
		require.NotEmpty(c, o.Buckets)
	}, 10*time.Second, 100*time.Millisecond)
	require.NotContains(t, text, b.ID().String())
	require.Equal(t, 2+len(o.Identity.Addrs), strings.Count(text, a.ID().String()))
	require.Empty(t, o.Status.DataDir)
	require.EqualValues(t, 1, o.Traffic.In["ADD_PROVIDER"])
	require.NotZero(t, o.Traffic.In["FIND_NODE"])
	require.NotZero(t, o.Traffic.Out["FIND_NODE"])
	require.NotZero(t, o.Traffic.Received)
	require.NotZero(t, o.Traffic.Lookups["refresh"].Done)
	require.Len(t, o.Ring, ringSectors)

	own, err := b.Backend().Overview(t.Context())
	require.NoError(t, err)
	keys := 0
	for _, s := range own.Ring {
		keys += s.Keys
	}
	require.Equal(t, 1, keys)
	require.EqualValues(t, 1, own.Traffic.Lookups["store_provider"].Done)
	require.EqualValues(t, 1, own.Traffic.Out["ADD_PROVIDER"])
}
