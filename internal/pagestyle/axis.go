package pagestyle

import "math"

// tolerance lets a step be smaller than asked for by rounding errors.
const tolerance = 1.0001

// NiceStep rounds the step between the ticks of an axis up to 1, 2, 2.5 or 5 times a power
// of ten. x must be positive.
func NiceStep(x float64) float64 {
	power := math.Pow10(int(math.Floor(math.Log10(x))))
	for _, m := range []float64{1, 2, 2.5, 5} {
		if x <= m*power*tolerance {
			return m * power
		}
	}
	return 10 * power
}
