package pagestyle

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
)

var (
	// Palette sets the colours as CSS variables, for light and dark.
	//
	//go:embed palette.css
	Palette string

	//go:embed base.css
	base string
)

// With returns the style of a page in one file: the palette, the base, then its own.
func With(own string) string { return Palette + base + own }

// Policy is the Content-Security-Policy of a page with a style: it may use that and
// nothing else, so names and values that peers sent can do no harm, even if the page has a
// bug.
func Policy(style string) string {
	return "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src " + Hash(style)
}

// ServedPolicy returns the policy of a page that is served over HTTP. No other page may
// frame it; a policy within a page cannot say that.
func ServedPolicy(style string) string { return Policy(style) + "; frame-ancestors 'none'" }

// Hash is the source expression that allows one inline style or script: its hash (CSP
// level 2, 4.2.5).
func Hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
