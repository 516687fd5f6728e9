package statuspage

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/api"
)

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
	for _, m := range read.FindAllStringSubmatch(js, -1) {
		if !own[m[1]] {
			require.True(t, fields[m[1]], "the script reads %s, which the API does not write", m[0])
			found++
		}
	}
	require.Greater(t, found, 40)
}
