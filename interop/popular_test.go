package interop

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/delegated"
	holdfast "github.com/holdfast-dht/holdfast/pkg/node"
)

// TestGoPopularContent: go-libp2p-kad-dht answers with all providers it has, in up to 4
// MiB. The library and HTTP find all of them, and return the first ones while the others
// are still arriving.
func TestGoPopularContent(t *testing.T) {
	ids := randomIDs(t, 12_000)
	for _, count := range []int{500, 4000, 8000, 12_000} {
		t.Run(fmt.Sprint(count), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
			defer cancel()
			c := randomCID(t)
			us := newOurs(t, holdfast.ModeClient)
			for range 3 {
				s := newTheirs(t, dht.ModeServer)
				announce(t, ctx, s, c, ids[:count])
				require.NoError(t, us.Host().Connect(ctx, peer.AddrInfo{ID: s.h.ID(), Addrs: s.h.Addrs()}))
			}
			require.Eventually(t, func() bool { return us.Status().VerifiedPeers == 3 }, time.Minute, 50*time.Millisecond)

			found := map[peer.ID]bool{}
			n, err := us.Providers(ctx, c.Hash(), 0, func(ai peer.AddrInfo) bool {
				require.NotEmpty(t, ai.Addrs)
				found[ai.ID] = true
				return true
			})
			require.NoError(t, err)
			require.Equal(t, count, n)
			require.Len(t, found, count)
			require.Len(t, overHTTP(t, ctx, us, c), count)
		})
	}
}

// overHTTP returns the providers of c that /routing/v1 streams.
func overHTTP(t *testing.T, ctx context.Context, us *ours, c cid.Cid) map[string]bool {
	s := httptest.NewServer(delegated.Handler(us.Node, prometheus.NewRegistry(), delegated.Options{}))
	defer s.Close()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/routing/v1/providers/"+c.String(), nil)
	require.NoError(t, err)
	req.Header.Set("Accept", "application/x-ndjson")
	resp, err := s.Client().Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	found := map[string]bool{}
	for lines := json.NewDecoder(resp.Body); lines.More(); {
		var record struct{ ID string }
		require.NoError(t, lines.Decode(&record))
		found[record.ID] = true
	}
	return found
}

// announce stores a record of each provider, with four addresses, at a server.
func announce(t *testing.T, ctx context.Context, s *theirs, c cid.Cid, ids []peer.ID) {
	for i, id := range ids {
		port := 1 + i%60_000
		require.NoError(t, s.ProviderStore().AddProvider(ctx, c.Hash(), peer.AddrInfo{ID: id, Addrs: []ma.Multiaddr{
			ma.StringCast(fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", port)), ma.StringCast(fmt.Sprintf("/ip4/127.0.0.1/udp/%d/quic-v1", port)),
			ma.StringCast(fmt.Sprintf("/ip6/::1/tcp/%d", port)), ma.StringCast(fmt.Sprintf("/ip6/::1/udp/%d/quic-v1", port)),
		}}))
	}
}

func randomIDs(t *testing.T, n int) []peer.ID {
	ids := make([]peer.ID, n)
	for i := range ids {
		k, _, err := crypto.GenerateEd25519Key(rand.Reader)
		require.NoError(t, err)
		ids[i], err = peer.IDFromPrivateKey(k)
		require.NoError(t, err)
	}
	return ids
}
