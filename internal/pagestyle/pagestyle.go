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

// With returns the style of a page: what all pages share, then its own.
func With(own string) string { return Palette + base + own }

// Policy is the Content-Security-Policy of a page with a style: it may use that and
// nothing else, so names and values that peers sent can do no harm, even if the page has a
// bug.
func Policy(style string) string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
