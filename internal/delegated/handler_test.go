package delegated

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ipfs/boxo/ipns"
	"github.com/ipfs/boxo/path"
	"github.com/ipfs/boxo/routing/http/client"
	"github.com/ipfs/boxo/routing/http/types"
	"github.com/ipfs/boxo/routing/http/types/iter"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/routing"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multihash"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/holdfast-dht/holdfast/pkg/node"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("go.opencensus.io/stats/view.(*worker).start")) // of boxo's client
}

// network is a Node that stores what it is given.
type network struct {
	err       error // of every call
	providers []peer.AddrInfo
	values    map[string][]byte
	asked     string        // the last key
	hangs     bool          // every call lasts until its context ends
	hold      chan struct{} // if not nil, Get waits for it
	ended     chan struct{} // closed when the context of a Providers call has ended
}

func (n *network) problem(ctx context.Context) error {
	if n.hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	return n.err
}

func (n *network) Providers(ctx context.Context, key []byte, _ int, fn func(peer.AddrInfo) bool) (int, error) {
	n.asked = string(key)
	if err := n.problem(ctx); err != nil {
		return 0, err
	}
	for i, ai := range n.providers {
		if !fn(ai) {
			close(n.ended)
			return i + 1, nil
		}
	}
	if len(n.providers) == 0 {
		return 0, node.ErrNotFound
	}
	return len(n.providers), nil
}

func (n *network) FindPeer(ctx context.Context, id peer.ID) (peer.AddrInfo, error) {
	if err := n.problem(ctx); err != nil {
		return peer.AddrInfo{}, err
	}
	for _, ai := range n.providers {
		if ai.ID == id {
			return ai, nil
		}
	}
	return peer.AddrInfo{}, node.ErrNotFound
}

func (n *network) Closest(ctx context.Context, key []byte) ([]peer.AddrInfo, error) {
	n.asked = string(key)
	if err := n.problem(ctx); err != nil {
		return nil, err
	}
	if len(n.providers) == 0 {
		return nil, node.ErrNoPeers
	}
	return n.providers, nil
}

func (n *network) Get(ctx context.Context, key []byte, _ int) (node.ValueResult, error) {
	if n.hold != nil {
		n.hold <- struct{}{}
		<-ctx.Done()
	}
	if err := n.problem(ctx); err != nil {
		return node.ValueResult{}, err
	}
	v, ok := n.values[string(key)]
	if !ok {
		return node.ValueResult{}, node.ErrNotFound
	}
	return node.ValueResult{Key: key, Value: v}, nil
}

func (n *network) PublishOnce(ctx context.Context, key, value []byte) (node.StoreResult, error) {
	if err := n.problem(ctx); err != nil {
		return node.StoreResult{}, err
	}
	n.values[string(key)] = value
	return node.StoreResult{Key: key, StoredAt: 1}, nil
}

func newPeer(t testing.TB) (crypto.PrivKey, peer.AddrInfo) {
	t.Helper()
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	require.NoError(t, err)
	id, err := peer.IDFromPrivateKey(key)
	require.NoError(t, err)
	return key, peer.AddrInfo{ID: id, Addrs: []ma.Multiaddr{ma.StringCast("/ip4/8.8.8.8/tcp/4011")}}
}

func newClient(t testing.TB, n Node) (*client.Client, string) {
	t.Helper()
	s := httptest.NewServer(Handler(n, prometheus.NewRegistry(), Options{}))
	t.Cleanup(s.Close)
	c, err := client.New(s.URL, client.WithHTTPClient(s.Client()))
	require.NoError(t, err)
	return c, s.URL
}

func someCID(t testing.TB, text string) cid.Cid {
	t.Helper()
	sum, err := multihash.Sum([]byte(text), multihash.SHA2_256, -1)
	require.NoError(t, err)
	return cid.NewCidV1(cid.Raw, sum)
}

func TestBoxoClientFindsProvidersAndPeers(t *testing.T) {
	_, a := newPeer(t)
	_, b := newPeer(t)
	n := &network{providers: []peer.AddrInfo{a, b}}
	c, _ := newClient(t, n)
	content := someCID(t, "content")
	found, err := c.FindProviders(t.Context(), content)
	require.NoError(t, err)
	all, err := iter.ReadAllResults(found)
	require.NoError(t, err)
	require.Len(t, all, 2)
	first := all[0].(*types.PeerRecord)
	require.Equal(t, a.ID, *first.ID)
	require.True(t, first.Addrs[0].Equal(a.Addrs[0]))
	require.Equal(t, string(content.Hash()), n.asked)

	peers, err := c.FindPeers(t.Context(), b.ID)
	require.NoError(t, err)
	records, err := iter.ReadAllResults(peers)
	require.NoError(t, err)
	require.Len(t, records, 1)
	require.Equal(t, b.ID, *records[0].ID)

	closest, err := c.GetClosestPeers(t.Context(), peer.ToCid(a.ID))
	require.NoError(t, err)
	records, err = iter.ReadAllResults(closest)
	require.NoError(t, err)
	require.Len(t, records, 2)
	require.Equal(t, string(a.ID), n.asked)
}

func TestBoxoClientFindsNothing(t *testing.T) {
	c, _ := newClient(t, &network{})
	found, err := c.FindProviders(t.Context(), someCID(t, "nothing"))
	require.NoError(t, err)
	all, err := iter.ReadAllResults(found)
	require.NoError(t, err)
	require.Empty(t, all)
	_, who := newPeer(t)
	peers, err := c.FindPeers(t.Context(), who.ID)
	require.NoError(t, err)
	records, err := iter.ReadAllResults(peers)
	require.NoError(t, err)
	require.Empty(t, records)
	_, err = c.GetIPNS(t.Context(), ipns.NameFromPeer(who.ID))
	require.ErrorIs(t, err, routing.ErrNotFound)
	_, err = c.GetClosestPeers(t.Context(), someCID(t, "x"))
	require.ErrorContains(t, err, "503", "no peers is an error")
}

func TestBoxoClientPutsAndGetsIPNS(t *testing.T) {
	c, url := newClient(t, &network{values: map[string][]byte{}})
	key, who := newPeer(t)
	record, err := ipns.NewRecord(key, path.FromCid(someCID(t, "page")), 1, time.Now().Add(time.Hour), time.Minute)
	require.NoError(t, err)
	name := ipns.NameFromPeer(who.ID)
	require.NoError(t, c.PutIPNS(t.Context(), name, record))
	found, err := c.GetIPNS(t.Context(), name)
	require.NoError(t, err)
	value, err := found.Value()
	require.NoError(t, err)
	require.Equal(t, path.FromCid(someCID(t, "page")).String(), value.String())

	// The server rejects a record of another name and an empty body.
	_, other := newPeer(t)
	raw, err := ipns.MarshalRecord(record)
	require.NoError(t, err)
	for path, body := range map[string]string{
		"/routing/v1/ipns/" + ipns.NameFromPeer(other.ID).String(): string(raw),
		"/routing/v1/ipns/" + name.String():                        strings.Repeat("x", 2*maxBody),
	} {
		code, _ := do(t, http.MethodPut, url+path, body, "application/vnd.ipfs.ipns-record")
		require.Equal(t, http.StatusBadRequest, code)
	}
}

// No cache may keep a record beyond its expiry.
func TestIPNSIsCachedUntilItsEnd(t *testing.T) {
	key, who := newPeer(t)
	name, end := ipns.NameFromPeer(who.ID), time.Now().Add(30*time.Second)
	record, err := ipns.NewRecord(key, path.FromCid(someCID(t, "page")), 1, end, time.Hour)
	require.NoError(t, err)
	value, err := ipns.MarshalRecord(record)
	require.NoError(t, err)
	_, url := newClient(t, &network{values: map[string][]byte{string(name.RoutingKey()): value}})
	code, h := do(t, http.MethodGet, url+"/routing/v1/ipns/"+name.String(), "", "")
	require.Equal(t, http.StatusOK, code)
	expires, err := http.ParseTime(h.Get("Expires"))
	require.NoError(t, err)
	require.False(t, expires.After(end))
	total := 0
	for _, part := range strings.Split(h.Get("Cache-Control"), ", ") {
		var seconds int
		if _, err := fmt.Sscanf(part, "max-age=%d", &seconds); err == nil {
			total += seconds
		}
		if _, err := fmt.Sscanf(part, "stale-if-error=%d", &seconds); err == nil {
			total += seconds
		}
	}
	require.Positive(t, total)
	require.LessOrEqual(t, total, 30, h.Get("Cache-Control"))
}

func do(t testing.TB, method, url, body, kind string) (int, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", kind)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, errors.Join(err, resp.Body.Close()))
	http.DefaultClient.CloseIdleConnections()
	return resp.StatusCode, resp.Header
}

// A stream has every provider of popular content, a JSON answer the first maxRecords.
func TestPopularContent(t *testing.T) {
	n := &network{ended: make(chan struct{})}
	for range 12_000 {
		_, ai := newPeer(t)
		n.providers = append(n.providers, ai)
	}
	c, url := newClient(t, n) // it asks for a stream
	content := someCID(t, "popular")
	found, err := c.FindProviders(t.Context(), content)
	require.NoError(t, err)
	all, err := iter.ReadAllResults(found)
	require.NoError(t, err)
	require.Len(t, all, len(n.providers))

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/routing/v1/providers/"+content.String(), nil)
	require.NoError(t, err)
	req.Header.Set("Accept", "application/json")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	var answer struct{ Providers []json.RawMessage }
	require.NoError(t, errors.Join(json.NewDecoder(resp.Body).Decode(&answer), resp.Body.Close()))
	http.DefaultClient.CloseIdleConnections()
	require.Len(t, answer.Providers, maxRecords)
	<-n.ended // the lookup ends
}

func TestRequestsInProgressAreBounded(t *testing.T) {
	n := &network{hold: make(chan struct{})}
	_, url := newClient(t, n)
	_, who := newPeer(t)
	target := url + "/routing/v1/ipns/" + ipns.NameFromPeer(who.ID).String()
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	for range maxRequests {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
		require.NoError(t, err)
		go func() {
			if resp, err := http.DefaultClient.Do(req); err == nil {
				resp.Body.Close()
			}
			gone <- struct{}{}
		}()
		<-n.hold
	}
	code, h := do(t, http.MethodGet, target, "", "")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.NotEmpty(t, h.Get("Retry-After"))
	cancel()
	for range maxRequests {
		<-gone
	}
}

func TestWhatIsNotOffered(t *testing.T) {
	_, url := newClient(t, &network{})
	code, _ := do(t, http.MethodPut, url+"/routing/v1/providers/", "{}", "application/json")
	require.Equal(t, http.StatusNotImplemented, code)
	code, _ = do(t, http.MethodGet, url+"/metrics", "", "")
	require.Equal(t, http.StatusNotFound, code)
	code, h := do(t, http.MethodOptions, url+"/routing/v1/providers/x", "", "")
	require.Equal(t, http.StatusNoContent, code)
	require.Equal(t, "*", h.Get("Access-Control-Allow-Origin"))
	code, h = do(t, http.MethodGet, url+"/routing/v1/providers/"+someCID(t, "x").String(), "", "")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "*", h.Get("Access-Control-Allow-Origin"))
	code, _ = do(t, http.MethodGet, url+"/routing/v1/providers/nonsense", "", "")
	require.Equal(t, http.StatusBadRequest, code)
}
