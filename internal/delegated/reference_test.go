package delegated

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// docs/reference/http.md lists the paths that are served, with their methods.
func TestHTTPReference(t *testing.T) {
	page, err := os.ReadFile("../../docs/reference/http.md")
	require.NoError(t, err)
	var have, want []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(.+ /routing/v1/.+?)` \\|").FindAllStringSubmatch(string(page), -1) {
		have = append(have, row[1])
	}
	for _, e := range endpoints {
		want = append(want, e.methods+" "+e.path)
	}
	require.Equal(t, want, have)
	require.Contains(t, string(page), "at most 100 records")
	require.Equal(t, 100, maxRecords)
	require.Contains(t, string(page), "At most 64 requests are served at once, each for at most 25 s, and the body of a `PUT` has at most 16 KiB")
	require.Equal(t, []any{64, "25s", 16 << 10}, []any{maxRequests, lookupTimeout.String(), maxBody})
}
