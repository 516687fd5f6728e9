package disk

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMayPin(t *testing.T) {
	for _, c := range []struct{ space, want int64 }{
		{1000, 900}, {160, 60}, {150, 50}, {140, 50}, {100, 50}, {40, 20}, {0, 0}, {-10, 0},
	} {
		require.Equal(t, c.want, mayPin(c.space, 100), c.space)
	}
}

func TestPins(t *testing.T) { synctest.Test(t, testPins) } // the clock of synctest: Cut waits for readers that do not release

func testPins(t *testing.T) {
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

// Cut returns when all readers have released their pages, or after cutWait if one hangs.
func TestCutWaits(t *testing.T) {
	const slow = 100 * time.Millisecond
	for name, c := range map[string]struct{ takes, waited time.Duration }{
		"nobody": {0, 0}, "a reader": {slow, slow}, "one that hangs": {time.Hour, cutWait},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var p Pins
				if c.takes > 0 {
					cut := make(chan struct{}, 1)
					release := p.Hold(func() { cut <- struct{}{} })
					go func() { <-cut; time.Sleep(c.takes); release() }()
				}
				start := time.Now()
				p.Cut()
				require.Equal(t, c.waited, time.Since(start))
				require.Equal(t, c.takes > cutWait, p.Held())
				time.Sleep(c.takes)
				require.False(t, p.Held())
			})
		})
	}
}
