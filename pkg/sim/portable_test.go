package sim

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestPortableMathIsMath(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Float64Range(-700, 700).Draw(t, "x")
		require.InEpsilon(t, math.Exp(x), exp(x), 2e-13, "exp %v: 700 has no more digits behind its point", x)
		y := rapid.Float64Range(1e-300, 1e300).Draw(t, "y")
		require.InDelta(t, math.Log(y), ln(y), 1e-15*max(1, math.Abs(math.Log(y))), "ln %v", y)
		shape := rapid.Float64Range(0.1, 4).Draw(t, "shape")
		z := rapid.Float64Range(1e-6, 1e6).Draw(t, "z")
		require.InEpsilon(t, math.Pow(z, shape), pow(z, shape), 1e-13, "%v to the %v", z, shape)
	})
}

func TestPortableMathAtItsEdges(t *testing.T) {
	require.Zero(t, ln(1))
	require.Equal(t, 1.0, exp(0))
	require.Equal(t, 1.0, pow(1, 0.608))
	require.Equal(t, 1.0, pow(123, 0))
	for _, x := range []float64{1000.1, 2000, 1e10, 1e300, math.Inf(1)} {
		require.Zero(t, exp(-x), "underflow")
		require.True(t, math.IsInf(exp(x), 1), "overflow")
	}
	require.Zero(t, exp(-999), "also where it is computed")
	require.True(t, math.IsInf(exp(999), 1))
	require.Equal(t, math.Ln2, ln(2))
	for e := -1000; e <= 1000; e += 50 { // powers of two have no series at all
		require.Equal(t, float64(e)*math.Ln2, ln(math.Ldexp(1, e)))
	}
}

// The bits that every machine must give. A compiler that fuses a multiplication with
// an addition changes the last ones.
func TestPortableMathHasTheSameBitsEverywhere(t *testing.T) {
	for _, tt := range []struct {
		name string
		got  float64
		want uint64
	}{} {
		require.Equal(t, tt.want, math.Float64bits(tt.got), "%s: %#x", tt.name, math.Float64bits(tt.got))
	}
}
