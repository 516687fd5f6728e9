package verdict

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A rate is a number that a person can read, whatever its size.
func TestRequests(t *testing.T) {
	for perSecond, want := range map[float64]string{
		0:           "no requests",
		0.001:       "less than 1 request a minute",
		0.0333:      "2 requests a minute",
		1.0 / 60:    "1 request a minute",
		0.99:        "59 requests a minute",
		0.9999:      "1.0 requests a second",
		9.94:        "9.9 requests a second",
		9.96:        "10 requests a second",
		12.34:       "12 requests a second",
		1_234_567.8: "1,234,568 requests a second",
	} {
		require.Equal(t, want, requests(perSecond), "%g", perSecond)
	}
}
