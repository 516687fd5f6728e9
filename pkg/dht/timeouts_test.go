package dht

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPatience(t *testing.T) {
	const ms = time.Millisecond
	feed := func(p *softTimer, times ...time.Duration) {
		for i := range 4 * softTimeoutSamples {
			p.answered(times[i%len(times)])
		}
	}
	var p softTimer
	p.answered(ms)
	require.Equal(t, time.Second, p.timeout(time.Second), "one answer says nothing")

	feed(&p, ms)
	require.Equal(t, MinSoftTimeout, p.timeout(time.Second), "a local network")

	p = softTimer{}
	feed(&p, 100*ms, 200*ms)
	require.InDelta(t, 350*ms, p.timeout(time.Second), float64(20*ms), "mean 150, deviation 50")

	feed(&p, 100*ms, 2000*ms)
	require.Equal(t, time.Second, p.timeout(time.Second), "never more than is configured")

	feed(&p, ms)
	feed(&p, ms)
	require.Equal(t, MinSoftTimeout, p.timeout(time.Second), "the past is forgotten")
}
