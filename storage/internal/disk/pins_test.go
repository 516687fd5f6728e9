package disk

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMayPin(t *testing.T) {
	for _, c := range []struct{ room, want int64 }{
		{1000, 900}, {160, 60}, {150, 50}, {140, 50}, {100, 50}, {40, 20}, {0, 0}, {-10, 0},
	} {
		require.Equal(t, c.want, MayPin(c.room, 100), c.room)
	}
}

func TestPins(t *testing.T) {
	var p Pins
	p.Cut()
	cut := 0
	one := p.Hold(func() { cut++ })
	two := p.Hold(func() { cut += 10 })
	require.True(t, p.Held())
	p.Cut()
	require.Equal(t, 11, cut)
	one()
	one()
	require.True(t, p.Held())
	p.Cut()
	require.Equal(t, 21, cut)
	two()
	require.False(t, p.Held())
}
