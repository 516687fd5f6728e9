package sim

import "math"

// The functions of this file give the same bits on every machine. Those of package math
// are assembly on some machines, and may fuse a multiplication with an addition on
// others. The conversions to float64 forbid fusing (Go specification, "Floating-point
// operators").

// ln is the natural logarithm of a positive number.
func ln(x float64) float64 {
	m, e := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m, e = float64(m*2), e-1
	}
	s := (m - 1) / (m + 1) // under 0.172: 12 terms reach the last bit
	s2 := float64(s * s)
	sum, power := 0.0, s
	for i := 1; i < 24; i += 2 {
		sum += power / float64(i)
		power = float64(power * s2)
	}
	return float64(2*sum) + float64(float64(e)*math.Ln2)
}

// exp is e to the x.
func exp(x float64) float64 {
	switch { // outside float64, and k would overflow a 32-bit int
	case x < -1000:
		return 0
	case x > 1000:
		return math.Inf(1)
	}
	k := math.Round(x / math.Ln2)
	r := x - float64(k*math.Ln2) // at most 0.35: 16 terms reach the last bit
	sum, term := 1.0, 1.0
	for i := 1; i <= 16; i++ {
		term = float64(term*r) / float64(i)
		sum += term
	}
	return math.Ldexp(sum, int(k))
}

// pow is x to the y for a positive x.
func pow(x, y float64) float64 { return exp(float64(y * ln(x))) }
