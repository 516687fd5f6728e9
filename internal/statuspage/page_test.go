package statuspage

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/explain"
	"github.com/holdfast-dht/holdfast/internal/pagestyle"
	"github.com/holdfast-dht/holdfast/pkg/dht"
)

var elsewhere = regexp.MustCompile(`(?i)https?://|//[a-z]|src=|@import|url\(|<iframe|<form`)

func TestPage(t *testing.T) {
	url := serve(t, func(context.Context) (api.Overview, error) { return api.Overview{}, nil })
	code, h, text := get(t, http.MethodGet, url+"/")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "text/html; charset=utf-8", h.Get("Content-Type"))
	require.Equal(t, "no-store", h.Get("Cache-Control"))
	text = strings.ReplaceAll(text, `"http://www.w3.org/2000/svg"`, "") // an XML namespace, not an address
	require.Empty(t, elsewhere.FindAllString(text, -1), "it loads nothing from elsewhere")
	require.Contains(t, text, "prefers-color-scheme: dark")
	require.Contains(t, text, `name="viewport"`)
}

// The policy allows the page's own style and script by their hashes, and nothing inline
// besides them.
func TestPolicy(t *testing.T) {
	url := serve(t, func(context.Context) (api.Overview, error) { return api.Overview{}, nil })
	_, h, text := get(t, http.MethodGet, url+"/")
	require.Regexp(t, `^default-src 'none';.*; style-src 'sha256-[\w+/]{43}='; frame-ancestors 'none'; connect-src 'self'; script-src 'sha256-[\w+/]{43}='$`, h.Get("Content-Security-Policy"))
	require.Equal(t, 1, strings.Count(text, "<script>"+script+"</script>"))
	require.Equal(t, 1, strings.Count(text, "<style>"+css+"</style>"))
	require.Equal(t, 1, strings.Count(text, "<script"))
	require.Equal(t, 1, strings.Count(text, "<style"))
	require.NotRegexp(t, `(?i)\s(on\w+|style)=|javascript:`, html, "the policy blocks inline handlers and styles")
	require.NotRegexp(t, `innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function`, script, "what the node says is text")
}

// The page names lookups as their own pages and `explain list` do, all kinds of them.
func TestKinds(t *testing.T) {
	const names = `const KINDS = {"find_value": "GET", "find_providers": "FIND PROVIDERS", `
	require.Equal(t, 1, strings.Count(script, names))
	require.Equal(t, 1, strings.Count(script, "const KINDS"))
	require.Len(t, explain.Kinds, dht.NumQueryKinds)
	for kind := range dht.QueryKind(dht.NumQueryKinds) {
		require.Contains(t, script, fmt.Sprintf("%q: %q, ", kind.String(), explain.Action(kind.String())))
		require.NotEqual(t, kind.String(), explain.Action(kind.String()))
	}
}

// The page has the colours of the pages that it links to. Its own style only adds some.
func TestColours(t *testing.T) {
	require.Equal(t, 1, strings.Count(css, pagestyle.Palette))
	set := regexp.MustCompile(`(--[\w-]+):`)
	for _, m := range set.FindAllStringSubmatch(ownCSS, -1) {
		require.NotContains(t, pagestyle.Palette, m[1]+":", "the palette sets it")
	}
}

// Texts are at least 13 px high.
func TestSizes(t *testing.T) {
	sizes := regexp.MustCompile(`font(?:-size)?:[^;}]*?([\d.]+)px`).FindAllStringSubmatch(css, -1)
	require.Greater(t, len(sizes), 10)
	for _, m := range sizes {
		size, err := strconv.ParseFloat(m[1], 64)
		require.NoError(t, err)
		require.GreaterOrEqual(t, size, 13.0, m[0])
	}
}

// The fields that the script reads are fields of the API.
func TestScriptKnowsTheFields(t *testing.T) {
	fields := map[string]bool{}
	jsonFields(reflect.TypeFor[api.Overview](), fields)
	read := regexp.MustCompile(`\b[a-z]\.([a-z0-9]+_[a-z0-9_]+)\b|\b(?:o|v|s|o\.status)\.([a-z]+)\b`)
	own := map[string]bool{"length": true, "map": true, "toFixed": true}
	found := map[string]bool{}
	for _, m := range read.FindAllStringSubmatch(pageJS, -1) {
		if name := m[1] + m[2]; !own[name] {
			require.True(t, fields[name], "the script reads %s, which the API does not write", m[0])
			found[name] = true
		}
	}
	require.Greater(t, len(found), 40)
	var healthy api.Overview
	raw, err := os.ReadFile("testdata/healthy.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &healthy))
	charted := regexp.MustCompile(`\["[^"]*", "(\w+)"\]`).FindAllStringSubmatch(chartJS, -1)
	require.Len(t, charted, 13)
	for _, m := range charted {
		require.Contains(t, healthy.History.Series, m[1])
	}
}

// jsonFields adds the JSON names of a type and of all types in it.
func jsonFields(t reflect.Type, names map[string]bool) {
	switch t.Kind() {
	case reflect.Slice, reflect.Pointer, reflect.Map:
		jsonFields(t.Elem(), names)
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
				names[name] = true
				jsonFields(f.Type, names)
			}
		}
	}
}

// The data of the browser test has the form of the API's. All files but healthy.json are
// laid over it.
func TestFixtures(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(t, err)
	require.Greater(t, len(files), 5)
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		d := json.NewDecoder(bytes.NewReader(raw))
		d.DisallowUnknownFields()
		require.NoError(t, d.Decode(new(api.Overview)), file)
	}
}
