package pagestyle

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// colours reads the variables of the palette, for light and dark.
func colours(t *testing.T) (light, dark map[string]string) {
	t.Helper()
	first, second, ok := strings.Cut(Palette, "@media (prefers-color-scheme: dark)")
	require.True(t, ok)
	read := func(css string) map[string]string {
		found := map[string]string{}
		for _, m := range regexp.MustCompile(`--([\w-]+): #([0-9a-f]{6});`).FindAllStringSubmatch(css, -1) {
			found[m[1]] = m[2]
		}
		return found
	}
	return read(first), read(second)
}

// luminance is the relative luminance of a colour (WCAG 2.2).
func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	var sum float64
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(colour[2*i:2*i+2], 16, 8)
		require.NoError(t, err)
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

func contrast(t *testing.T, a, b string) float64 {
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// Text has a contrast of 4.5 to 1 on both grounds, curves have 3 to 1 (WCAG 2.2, 1.4.3 and
// 1.4.11).
func TestContrast(t *testing.T) {
	light, dark := colours(t)
	for name, scheme := range map[string]map[string]string{"light": light, "dark": dark} {
		require.Len(t, scheme, 15, name)
		for _, ground := range []string{"ground", "panel"} {
			for _, text := range []string{"ink", "soft", "main", "good", "bad"} {
				require.GreaterOrEqual(t, contrast(t, scheme[text], scheme[ground]), 4.5, "%s on %s, %s", text, ground, name)
			}
			for _, curve := range []string{"second", "third", "fourth", "fifth"} {
				require.GreaterOrEqual(t, contrast(t, scheme[curve], scheme[ground]), 3., "%s on %s, %s", curve, ground, name)
			}
		}
	}
}

// The policy of a page permits its style. Only that of a served page can forbid frames.
func TestPolicy(t *testing.T) {
	require.Equal(t, "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='", Hash(""))
	require.Equal(t, "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src "+Hash("p{}"), Policy("p{}"))
	require.Equal(t, Policy("p{}")+"; frame-ancestors 'none'", ServedPolicy("p{}"))
}

func TestNiceStep(t *testing.T) {
	for x, want := range map[float64]float64{
		1: 1, 1.00001: 1, 1.01: 2, 2: 2, 2.1: 2.5, 2.6: 5, 5.1: 10, 9.99: 10, 0.1 + 0.1 + 0.1: 0.5, 0.26: 0.5, 0.0003: 0.0005, 1e6: 1e6,
	} {
		require.InEpsilon(t, want, NiceStep(x), 1e-9, "%g", x)
	}
}
