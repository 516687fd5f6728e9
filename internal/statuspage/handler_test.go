package statuspage

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/api"
)

// kept are the traces of every server of a test: one, of query 7.
func kept(id uint64) (api.Trace, bool) {
	return api.Trace{
		ID: 7, Kind: "find_value", Key: []byte("/example/<b>k</b>"), Outcome: "ok", End: "nearest", TookMs: 3,
		Steps: []api.TraceStep{{PeerID: "12D3<script>alert(1)</script>", Addr: "/ip4/192.0.2.1/tcp/1", Role: "lookup", State: "answered", EndedMs: 2}},
	}, id == 7
}

func serve(t *testing.T, source Source) string {
	t.Helper()
	mux := http.NewServeMux()
	Register(mux, source, kept)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

func get(t *testing.T, method, url string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, resp.Header, string(body)
}

func TestData(t *testing.T) {
	url := serve(t, func(context.Context) (api.Overview, error) {
		return api.Overview{Status: api.Status{PeerID: "me"}}, nil
	})
	code, h, text := get(t, http.MethodGet, url+"/status.json")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "application/json", h.Get("Content-Type"))
	require.Empty(t, h.Get("Access-Control-Allow-Origin"), "other sites' pages may not read it")
	var o api.Overview
	require.NoError(t, json.Unmarshal([]byte(text), &o))
	require.Equal(t, "me", o.Status.PeerID)
}

// For a host name, which may resolve here by DNS rebinding, the answer has neither the ID
// nor the addresses of the node.
func TestUnderANameItSaysNoAddress(t *testing.T) {
	url := serve(t, func(context.Context) (api.Overview, error) {
		o := api.Overview{Status: api.Status{PeerID: "12D3KooW", TablePeers: 7}}
		o.Identity = api.Identity{PeerID: "12D3KooW", PublicKey: "CAES", Addrs: []string{"/ip4/192.168.7.7/tcp/4011/p2p/12D3KooW"}, Agent: "holdfast"}
		return o, nil
	})
	for host, whole := range map[string]bool{
		"127.0.0.1:9474": true, "127.0.0.1": true, "[::1]:9474": true, "10.1.2.3:9474": true, "LocalHost:9474": true, "localhost": true,
		"evil.example:9474": false, "node1.corp.example.com": false, "node1:9474": false, "127.0.0.1.nip.io:9474": false, "a.localhost:9474": false,
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/status.json", nil)
		require.NoError(t, err)
		req.Host = host
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, errors.Join(err, resp.Body.Close()))
		require.Equal(t, http.StatusOK, resp.StatusCode)
		require.Contains(t, string(body), `"table_peers":7`, host)
		for _, secret := range []string{"12D3KooW", "192.168.7.7", "CAES"} {
			require.Equal(t, whole, strings.Contains(string(body), secret), "%s: %s", host, body)
		}
	}
}

func TestItCanOnlyBeRead(t *testing.T) {
	url := serve(t, func(context.Context) (api.Overview, error) { return api.Overview{}, nil })
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
		code, _, _ := get(t, method, url+"/status.json")
		require.Equal(t, http.StatusMethodNotAllowed, code)
	}
	code, _, text := get(t, http.MethodHead, url+"/status.json")
	require.Equal(t, http.StatusOK, code)
	require.Empty(t, text)
	code, _, _ = get(t, http.MethodGet, url+"/debug/pprof/")
	require.Equal(t, http.StatusNotFound, code)
	code, _, _ = get(t, http.MethodGet, url+"/v1/status")
	require.Equal(t, http.StatusNotFound, code)
}

// However many clients read the page, the node is asked once per interval.
func TestManyReadersAskOnce(t *testing.T) {
	var asked atomic.Int64
	c := &cache{source: func(context.Context) (api.Overview, error) {
		asked.Add(1)
		return api.Overview{}, nil
	}}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { _, _, _ = c.get() })
	}
	all.Wait()
	require.EqualValues(t, 1, asked.Load())
	c.taken = c.taken.Add(-fresh)
	_, _, err := c.get()
	require.NoError(t, err)
	require.EqualValues(t, 2, asked.Load())
}

func TestASilentNode(t *testing.T) {
	url := serve(t, func(context.Context) (api.Overview, error) { return api.Overview{}, errors.New("the loop hangs") })
	code, _, text := get(t, http.MethodGet, url+"/status.json")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Contains(t, text, "the loop hangs")
}
