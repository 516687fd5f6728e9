package main

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/api"
)

// prolific is a daemon that publishes that many keys.
type prolific struct {
	api.Backend
	keys, told int
}

func (p *prolific) Provides(_ context.Context, fn func(api.Published) error) error {
	for i := range p.keys {
		p.told++
		if err := fn(api.Published{Key: fmt.Appendf(nil, "key %d", i), Kind: "value"}); err != nil {
			return err
		}
	}
	return nil
}

// A shell gets at most maxCompletions keys, and the command reads no more.
func TestMaxCompletions(t *testing.T) {
	for _, keys := range []int{maxCompletions - 1, maxCompletions, maxCompletions + 1} {
		b := &prolific{keys: keys}
		require.Len(t, publishedKeys(t.Context(), b, "value", ""), min(keys, maxCompletions))
		require.Equal(t, min(keys, maxCompletions), b.told)
	}
}

// A value of maxStdin bytes is read from standard input; a longer one is rejected.
func TestMaxStdin(t *testing.T) {
	reading := func(text string) *putCommand { return &putCommand{app: &app{in: strings.NewReader(text)}} }
	longest := strings.Repeat("v", maxStdin)
	data, err := reading(longest).value(t.Context(), "-")
	require.NoError(t, err)
	require.Equal(t, len(longest), len(data))
	_, err = reading(longest+"v").value(t.Context(), "-")
	require.EqualError(t, err, fmt.Sprintf("standard input has more than %d bytes", maxStdin))
}
