package api

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// Values are short, and unknown ones are null, in both directions.
func TestSeriesAsJSON(t *testing.T) {
	in := Series{0, 0.000123456, 1.0 / 3, 999.96, 1234567.8, -2, math.NaN()}
	text, err := json.Marshal(in)
	require.NoError(t, err)
	require.Equal(t, "[0,0.0001235,0.3333,1000,1234568,-2,null]", string(text))
	var out Series
	require.NoError(t, json.Unmarshal(text, &out))
	require.Equal(t, 0.3333, out[2])
	require.True(t, math.IsNaN(out[6]))
	text, err = json.Marshal(Series(nil))
	require.NoError(t, err)
	require.Equal(t, "[]", string(text))
	require.Error(t, json.Unmarshal([]byte(`{}`), &out))
}
