package disk

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Progress that is measured from outside never decreases and never exceeds the total.
func TestReach(t *testing.T) {
	var told []int64
	m := NewMeter(func(p Progress) { told = append(told, p.Done) }, Progress{Total: 3 * meterBytes, Bytes: true})
	for _, seen := range []int64{meterBytes, meterBytes / 2, 2*meterBytes - 1, 2 * meterBytes, 5 * meterBytes} {
		m.Reach(seen)
	}
	require.Equal(t, []int64{0, meterBytes, 2 * meterBytes, 3 * meterBytes}, told)
}
