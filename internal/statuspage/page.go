package statuspage

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/http"
	"strings"
)

var (
	//go:embed page.html
	html string
	//go:embed page.css
	css string
	//go:embed format.js
	formatJS string
	//go:embed chart.js
	chartJS string
	//go:embed page.js
	pageJS string

	script = formatJS + chartJS + pageJS
)

// page is the whole page in one response: its style and its script are inline.
var page = []byte(strings.NewReplacer(
	"<style></style>", "<style>"+css+"</style>",
	"<script></script>", "<script>"+script+"</script>",
).Replace(html))

// policy lets the page use its own style and script and read from this listener, and
// nothing else. Data from peers can do no harm, even if the page has a bug.
var policy = "default-src 'none'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
	"img-src data:; style-src " + inline(css) + "; script-src " + inline(script)

// inline is the source expression that allows one inline style or script: its hash (CSP
// level 2, 4.2.5).
func inline(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func servePage(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	secure(h)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	_, _ = w.Write(page) // it fails only if the client has disconnected
}
