package statuspage

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/api"
)

func serve(t *testing.T, source Source) string {
	t.Helper()
	mux := http.NewServeMux()
	Register(mux, source)
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

var elsewhere = regexp.MustCompile(`(?i)https?://|//[a-z]|src=|@import|url\(|<iframe|<form`)

func TestPage(t *testing.T) {
	url := serve(t, func(context.Context) (api.Overview, error) { return api.Overview{}, nil })
	code, h, text := get(t, http.MethodGet, url+"/")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "text/html; charset=utf-8", h.Get("Content-Type"))
	require.Contains(t, h.Get("Content-Security-Policy"), "default-src 'none'")
	require.Equal(t, "no-store", h.Get("Cache-Control"))
	text = strings.Replace(text, `"http://www.w3.org/2000/svg"`, "", 1) // an XML namespace, not an address
	require.Empty(t, elsewhere.FindAllString(text, -1), "it loads nothing from elsewhere")
	require.Equal(t, 1, strings.Count(text, "<script"), "the policy names one script")
	require.NotContains(t, text, "innerHTML", "what the node says is text")
	require.Contains(t, text, "prefers-color-scheme: dark")
	require.Contains(t, text, `name="viewport"`)
}

// The fields that the page's script reads must be fields that the API writes.
func TestScriptKnowsTheFields(t *testing.T) {
	o := api.Overview{Buckets: []api.Bucket{{}}, Ring: []api.Sector{{}}, Traffic: api.Traffic{Lookups: map[string]api.LookupCount{"refresh": {}}}}
	now := time.Unix(1, 0)
	o.Status.Refused = map[string]int64{"bytes": 1}
	o.Status.IsolatedSince = now
	o.Status.LastSnapshot, o.Status.LastExpiry, o.Status.LastRefresh, o.Status.LastRepublish = now, now, now, now
	o.Republish.NextDue, o.Status.DiskFullSince = now, now
	raw, err := json.Marshal(o)
	require.NoError(t, err)
	fields := map[string]bool{}
	for _, m := range regexp.MustCompile(`"([a-z_]+)":`).FindAllSubmatch(raw, -1) {
		fields[string(m[1])] = true
	}
	read := regexp.MustCompile(`\b(?:o|s|b|t|l|o\.status|o\.identity|o\.republish|o\.traffic|before\.traffic|current)\.([a-z_]+)\b`)
	own := map[string]bool{"forEach": true, "map": true, "length": true, "room": true}
	found := 0
	for _, m := range read.FindAllSubmatch(script.Find(page), -1) {
		if !own[string(m[1])] {
			require.True(t, fields[string(m[1])], "the script reads %s, which the API does not write", m[0])
			found++
		}
	}
	require.Greater(t, found, 40)
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
	code, _, _ := get(t, http.MethodGet, url+"/debug/pprof/")
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
