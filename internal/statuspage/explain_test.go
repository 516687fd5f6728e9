package statuspage

import (
	"context"
	"errors"
	escaped "html"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/api"
)

func explainServer(t *testing.T) string {
	return serve(t, func(context.Context) (api.Overview, error) { return api.Overview{}, nil })
}

// The page of a query has no script, loads nothing, and escapes what peers say.
func TestExplainPage(t *testing.T) {
	url := explainServer(t)
	code, h, text := get(t, http.MethodGet, url+"/"+ExplainLink(7))
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "text/html; charset=utf-8", h.Get("Content-Type"))
	_, rest, _ := strings.Cut(text, `http-equiv="Content-Security-Policy" content="`)
	own, _, _ := strings.Cut(rest, `"`)
	require.Contains(t, own, "style-src")
	require.Equal(t, escaped.UnescapeString(own)+"; frame-ancestors 'none'", h.Get("Content-Security-Policy"), "the policy of the page itself")
	require.NotContains(t, own, "script-src", "default-src 'none' holds for scripts")
	require.Equal(t, "no-store", h.Get("Cache-Control"))
	require.Contains(t, text, "/example/&lt;b&gt;k&lt;/b&gt;")
	require.Contains(t, text, "192.0.2.1")
	require.NotContains(t, text, "<script", "the policy would block it")
}

// Anything that is not the number of a kept query is 404; nothing can be written.
func TestExplainOfNoQuery(t *testing.T) {
	url := explainServer(t)
	for path, want := range map[string]int{
		"/explain/8": 404, "/explain/": 404, "/explain/x": 404, "/explain/-1": 404, "/explain/18446744073709551623": 404,
		"/explain/7/": 404, "/explain/%2e%2e": 404, "/explain/7": 200,
	} {
		code, _, _ := get(t, http.MethodGet, url+path)
		require.Equal(t, want, code, path)
	}
	code, _, _ := get(t, http.MethodPost, url+"/explain/7")
	require.Equal(t, http.StatusMethodNotAllowed, code)
}

// Under a host name, which may resolve here by DNS rebinding, the page is refused.
func TestExplainUnderAHostName(t *testing.T) {
	url := explainServer(t)
	for host, want := range map[string]int{"127.0.0.1:9474": 200, "[::1]": 200, "localhost": 200, "evil.example": 403, "node1:9474": 403} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/explain/7", nil)
		require.NoError(t, err)
		req.Host = host
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, errors.Join(err, resp.Body.Close()))
		require.Equal(t, want, resp.StatusCode, host)
		if want == http.StatusForbidden {
			require.NotContains(t, string(text), "example/")
		}
	}
}
