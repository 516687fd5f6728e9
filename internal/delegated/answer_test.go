package delegated

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs/boxo/ipns"
	"github.com/ipfs/boxo/path"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// request sends a request to h and returns the answer.
func request(h http.Handler, method, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// reads returns the paths of all lookups.
func reads(t *testing.T, id peer.ID) []string {
	c := someCID(t, "x").String()
	return []string{
		"/routing/v1/providers/" + c, "/routing/v1/peers/" + peer.ToCid(id).String(),
		"/routing/v1/dht/closest/peers/" + c, "/routing/v1/ipns/" + ipns.NameFromPeer(id).String(),
	}
}

// An error never looks like an empty answer.
func TestErrorsAreNoEmptyAnswers(t *testing.T) {
	_, who := newPeer(t)
	secret := errors.New("dial /ip4/192.168.7.7/tcp/4011: refused")
	for _, c := range []struct {
		err   error
		code  int
		retry string
	}{
		{node.ErrNoPeers, 503, retryAfter},
		{fmt.Errorf("%w: find_providers, 3 asked: %w", node.ErrNoAnswer, secret), 503, retryAfter},
		{fmt.Errorf("find_value: %w", dht.ErrBusy), 503, retryAfter},
		{node.ErrClosed, 503, retryAfter},
		{context.DeadlineExceeded, 504, retryAfter},
		{secret, 500, ""},
	} {
		h := Handler(&network{err: c.err}, prometheus.NewRegistry(), Options{})
		for _, target := range reads(t, who.ID) {
			for _, accept := range []string{"*/*", typeNDJSON + ", */*;q=0.1"} {
				w := request(h, http.MethodGet, target, "", "Accept", accept)
				require.Equal(t, c.code, w.Code, "%v %s %s", c.err, target, accept)
				require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
				require.Equal(t, c.retry, w.Header().Get("Retry-After"))
				require.Equal(t, "*", w.Header().Get("Access-Control-Allow-Origin"))
				require.Equal(t, "text/plain; charset=utf-8", w.Header().Get("Content-Type"))
				require.NotContains(t, w.Body.String(), "192.168")
				require.Equal(t, 1, strings.Count(w.Body.String(), "\n"), w.Body)
			}
		}
	}
	h := Handler(&network{err: node.ErrNotFound}, prometheus.NewRegistry(), Options{})
	for _, target := range reads(t, who.ID) {
		w := request(h, http.MethodGet, target, "")
		require.Equal(t, http.StatusOK, w.Code, "there are none, which is an answer")
		require.Contains(t, w.Header().Get("Cache-Control"), "public, max-age=15")
	}
}

// An answer comes before clients time out, after 30 s.
func TestLookupsEndInTime(t *testing.T) {
	_, who := newPeer(t)
	for _, target := range reads(t, who.ID) {
		synctest.Test(t, func(t *testing.T) {
			h := Handler(&network{hangs: true}, prometheus.NewRegistry(), Options{})
			start := time.Now()
			w := request(h, http.MethodGet, target, "")
			require.Equal(t, http.StatusGatewayTimeout, w.Code)
			require.Equal(t, 25*time.Second, time.Since(start))
		})
	}
}

// A client that disconnects does not count as a failure of the node.
func TestClientThatGoesAway(t *testing.T) {
	_, who := newPeer(t)
	for _, target := range reads(t, who.ID) {
		var log bytes.Buffer
		h := Handler(&network{hangs: true}, prometheus.NewRegistry(), Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, target, nil))
		require.Equal(t, statusClientGone, w.Code, target)
		require.Empty(t, log.String())
	}
}

func TestWhyARecordIsNotStored(t *testing.T) {
	key, who := newPeer(t)
	record, err := ipns.NewRecord(key, path.FromCid(someCID(t, "page")), 1, time.Now().Add(time.Hour), time.Minute)
	require.NoError(t, err)
	raw, err := ipns.MarshalRecord(record)
	require.NoError(t, err)
	for _, c := range []struct {
		err  error
		code int
	}{
		{nil, 200},
		{fmt.Errorf("store value: %w", records.ErrOlder), 409},
		{records.ErrTooLarge, 413},
		{node.ErrInvalidKey, 400},
		{node.ErrNoPeers, 503},
		{records.ErrBusy, 503},
		{node.ErrNotTaken, 502},
		{context.DeadlineExceeded, 504},
		{errors.New("disk"), 500},
	} {
		h := Handler(&network{err: c.err, values: map[string][]byte{}}, prometheus.NewRegistry(), Options{})
		w := request(h, http.MethodPut, "/routing/v1/ipns/"+ipns.NameFromPeer(who.ID).String(), string(raw), "Content-Type", typeIPNS)
		require.Equal(t, c.code, w.Code, "%v: %s", c.err, w.Body)
		require.NotContains(t, w.Body.String(), "disk")
	}
}

// The metrics count the status that was sent.
func TestMetricsCountWhatWasSent(t *testing.T) {
	_, who := newPeer(t)
	registry := prometheus.NewRegistry()
	h := Handler(&network{err: node.ErrNoPeers}, registry, Options{})
	for _, target := range reads(t, who.ID) {
		request(h, http.MethodGet, target, "")
		request(h, "ANYTHING", target, "") // each method would be its own series
	}
	metrics, err := registry.Gather()
	require.NoError(t, err)
	var counted []string
	for _, m := range metrics {
		if m.GetName() != "delegated_routing_server_http_request_duration_seconds" {
			continue
		}
		for _, x := range m.Metric {
			for _, l := range x.Label {
				if l.GetName() != "service" {
					counted = append(counted, l.GetName()+"="+l.GetValue())
				}
			}
		}
	}
	require.Equal(t, []string{
		"code=503", "handler=/routing/v1/dht/closest/peers/{key}", "method=GET", "code=503", "handler=/routing/v1/ipns/{cid}", "method=GET",
		"code=503", "handler=/routing/v1/peers/{peer-id}", "method=GET", "code=503", "handler=/routing/v1/providers/{cid}", "method=GET",
	}, counted)
}

func TestPathsAndMethods(t *testing.T) {
	_, who := newPeer(t)
	h := Handler(&network{providers: []peer.AddrInfo{who}}, prometheus.NewRegistry(), Options{})
	for _, target := range []string{"/", "/metrics", "/routing/v1", "/routing/v1/", "/routing/v1/nodes/x", "/routing/v1/providers/", "/routing/v1/providers/a/b", "/routing/v2/peers/x"} {
		w := request(h, http.MethodGet, target, "")
		require.Equal(t, http.StatusNotFound, w.Code, target)
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	}
	for _, target := range reads(t, who.ID) {
		for _, method := range []string{http.MethodPost, http.MethodDelete, http.MethodPatch, http.MethodPut} {
			stores := strings.Contains(target, "/ipns/")
			if method == http.MethodPut && stores {
				continue
			}
			w := request(h, method, target, "")
			require.Equal(t, http.StatusMethodNotAllowed, w.Code, "%s %s", method, target)
			want := "GET, HEAD, OPTIONS"
			if stores {
				want += ", PUT"
			}
			require.Equal(t, want, w.Header().Get("Allow"))
		}
	}
	require.Equal(t, http.StatusBadRequest, request(h, http.MethodGet, "/routing/v1/providers/nonsense", "").Code)
}

func TestHeadIsGetWithoutABody(t *testing.T) {
	_, who := newPeer(t)
	h := Handler(&network{providers: []peer.AddrInfo{who}}, prometheus.NewRegistry(), Options{})
	for _, target := range reads(t, who.ID) {
		for _, accept := range []string{"*/*", typeNDJSON + ", */*;q=0.1"} {
			get, head := request(h, http.MethodGet, target, "", "Accept", accept), request(h, http.MethodHead, target, "", "Accept", accept)
			require.Equal(t, get.Code, head.Code, target)
			require.Equal(t, get.Header().Get("Content-Type"), head.Header().Get("Content-Type"))
			require.Equal(t, get.Header().Get("Cache-Control"), head.Header().Get("Cache-Control"))
			require.Empty(t, head.Body.String())
		}
	}
	h = Handler(&network{err: node.ErrNoPeers}, prometheus.NewRegistry(), Options{})
	for _, target := range reads(t, who.ID) {
		w := request(h, http.MethodHead, target, "")
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
		require.Empty(t, w.Body.String())
	}
	s := httptest.NewServer(h)
	defer s.Close()
	code, header := do(t, http.MethodHead, s.URL+reads(t, who.ID)[0], "", "")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Equal(t, retryAfter, header.Get("Retry-After"))
}

func TestPreflight(t *testing.T) {
	_, who := newPeer(t)
	h := Handler(&network{}, prometheus.NewRegistry(), Options{})
	for _, target := range reads(t, who.ID) {
		w := request(h, http.MethodOptions, target, "", "Origin", "https://app.example", "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "accept,content-type")
		require.Equal(t, http.StatusNoContent, w.Code)
		require.Equal(t, "*", w.Header().Get("Access-Control-Allow-Origin"))
		require.Equal(t, "GET, HEAD, OPTIONS", w.Header().Get("Access-Control-Allow-Methods"), "pages of other origins may read, not store")
		for _, name := range []string{"Accept", "Content-Type", "User-Agent"} {
			require.Contains(t, w.Header().Get("Access-Control-Allow-Headers"), name)
		}
		require.Empty(t, w.Header().Get("Access-Control-Allow-Private-Network"))
	}
}

func TestChooseType(t *testing.T) {
	for _, c := range []struct{ accept, json, record string }{
		{"", typeJSON, typeIPNS},
		{"*/*", typeJSON, typeIPNS},
		{"application/*", typeJSON, typeIPNS},
		{"text/html, */*;q=0.8", typeJSON, typeIPNS},
		{"text/html", "", ""},
		{"*/*;q=0", "", ""},
		{"application/json", typeJSON, ""},
		{"Application/JSON; charset=utf-8", typeJSON, ""},
		{"application/json;q=0", "", ""},
		{"application/json;q=0, */*", "", typeIPNS},
		{"application/x-ndjson", typeNDJSON, ""},
		{"application/x-ndjson;q=0", "", ""},
		{"application/x-ndjson,application/json", typeNDJSON, ""},
		{"application/json,application/x-ndjson", typeNDJSON, ""},
		{"application/x-ndjson;q=0.5, application/json", typeJSON, ""},
		{"application/x-ndjson;q=0.5, application/json;q=0.4", typeNDJSON, ""},
		{"application/x-ndjson;q=0.5, */*;q=0.8", typeJSON, typeIPNS},
		{"application/x-ndjson;q=0, */*", typeJSON, typeIPNS},
		{"application/vnd.ipfs.ipns-record", "", typeIPNS},
		{"application/vnd.ipfs.ipns-record;q=0, */*", typeJSON, ""},
		{"application/json;q=nonsense", "", ""},
		{"application/json;q=2", "", ""},
		{"application/json;q=NaN", "", ""},
		{";;, application/json", typeJSON, ""},
		{"/", "", ""},
	} {
		require.Equal(t, c.json, chooseType([]string{c.accept}, typeJSON), c.accept)
		require.Equal(t, c.record, chooseType([]string{c.accept}, typeIPNS), c.accept)
	}
	require.Equal(t, typeJSON, chooseType(nil, typeJSON))
	require.Equal(t, typeNDJSON, chooseType([]string{"text/html", "application/x-ndjson"}, typeJSON))
	_, who := newPeer(t)
	h := Handler(&network{}, prometheus.NewRegistry(), Options{})
	for _, target := range reads(t, who.ID) {
		require.Equal(t, http.StatusNotAcceptable, request(h, http.MethodGet, target, "", "Accept", "text/html").Code)
	}
}

func FuzzChooseType(f *testing.F) {
	f.Add("application/x-ndjson;q=0.5, */*;q=0.8")
	f.Fuzz(func(t *testing.T, accept string) {
		require.Contains(t, []string{"", typeJSON, typeNDJSON}, chooseType([]string{accept}, typeJSON))
		require.Contains(t, []string{"", typeIPNS}, chooseType([]string{accept}, typeIPNS))
	})
}
