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
		require.InEpsilon(t, math.Exp(x), exp(x), 2e-13, "exp %v: a float64 near 700 has no more digits after the point", x)
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

// sameBits are the results that every machine must give, to the last bit. They come from
// the same series in Python, which never fuses a multiplication with an addition. The
// results marked "fused" differ if they are fused.
var sameBits = []struct {
	name string
	got  float64
	want uint64
}{
	{"ln 3", ln(3), 0x3ff193ea7aad030a},
	{"ln 0.1", ln(0.1), 0xc0026bb1bbb55515},
	{"ln 1e300", ln(1e300), 0x4085963447f87fb5},
	{"ln 86400", ln(86400), 0x4026bbc5bb89bdc9},
	{"ln 5.8", ln(5.8), 0x3ffc202f9fae6f09}, // fused
	{"ln 6.3", ln(6.3), 0x3ffd72e42c21b640}, // fused
	{"exp 1", exp(1), 0x4005bf0a8b145768},
	{"exp -0.7", exp(-0.7), 0x3fdfc80db9dd5542},
	{"exp 7.3", exp(7.3), 0x4097213320377b28},     // fused
	{"exp 10", exp(10), 0x40d5829dcf950562},       // fused
	{"exp -36.7", exp(-36.7), 0x3ca0998b04bdd18d}, // fused
	{"exp 700", exp(700), 0x7f0d945df4f8ee2c},     // fused
	{"3 to the 0.608", pow(3, 0.608), 0x3fff3436b08d894d},
	{"0.001 to the 0.608", pow(0.001, 0.608), 0x3f8eb6aae9d2bc5e},             // fused
	{"12.5 to the 1.6447", pow(12.5, 1.6447368421052633), 0x404fd96425f6a1ee}, // fused
	{"0.37 to the 2", pow(0.37, 2), 0x3fc185f06f694465},                       // fused
}

func TestPortableMathHasTheSameBitsEverywhere(t *testing.T) {
	require.NotEmpty(t, sameBits)
	for _, tt := range sameBits {
		require.Equal(t, tt.want, math.Float64bits(tt.got), "%s: %#x", tt.name, math.Float64bits(tt.got))
	}
}
