package statuspage

import (
	_ "embed"
	"fmt"
	"net/http"
	"strings"

	"github.com/holdfast-dht/holdfast/internal/explain"
	"github.com/holdfast-dht/holdfast/internal/pagestyle"
)

var (
	//go:embed page.html
	html string
	//go:embed page.css
	ownCSS string
	//go:embed format.js
	formatJS string
	//go:embed chart.js
	chartJS string
	//go:embed page.js
	pageJS string

	css    = pagestyle.Palette + ownCSS
	script = kindsJS(explain.Kinds) + formatJS + chartJS + pageJS
)

// page is the whole page in one response: its style and its script are inline.
var page = []byte(strings.NewReplacer(
	"<style></style>", "<style>"+css+"</style>",
	"<script></script>", "<script>"+script+"</script>",
).Replace(html))

// policy lets the page use its own style and script and read from this listener, and
// nothing else. Data from peers can do no harm, even if the page has a bug.
var policy = pagestyle.ServedPolicy(css) + "; connect-src 'self'; script-src " + pagestyle.Hash(script)

// kindsJS declares KINDS, the names of the kinds of lookups by kind. They are the same as on
// the pages that the lookups link to.
func kindsJS(kinds []explain.Kind) string {
	var b strings.Builder
	b.WriteString("const KINDS = {")
	for _, k := range kinds {
		fmt.Fprintf(&b, "%q: %q, ", k.Kind, k.Words)
	}
	return b.String() + "};\n"
}

func servePage(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	secure(h)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	_, _ = w.Write(page) // it fails only if the client has disconnected
}
