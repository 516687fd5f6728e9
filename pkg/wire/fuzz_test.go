package wire

import (
	"bufio"
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// A message that parses is written in a form that parses to the same message.
func FuzzParse(f *testing.F) {
	for name := range golden {
		f.Add(readGolden(f, name)[1:])
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := Parse(in)
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(m.CloserPeers), MaxCloserPeers)
		require.LessOrEqual(t, len(m.ProviderPeers), MaxProviderPeers)
		out := m.Append(nil)
		require.Len(t, out, m.Size())
		m.WantsAck = false // never written
		if len(out) == 0 {
			return
		}
		again, err := Parse(out)
		require.NoError(t, err)
		requireSame(t, m, again)
		require.Equal(t, out, again.Append(nil))
		m.TrimTo(len(out) / 2)
		_ = m.Append(nil)
	})
}

// Both readers agree on every input.
func FuzzReadFrame(f *testing.F) {
	for name := range golden {
		f.Add(readGolden(f, name))
	}
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"))
	f.Add([]byte("\x80\x00"))
	f.Fuzz(func(t *testing.T, in []byte) {
		const limit = 1 << 16
		frames, end := readAll(NewFrameReader(1, limit), bytes.NewReader(in))
		r := bufio.NewReader(bytes.NewReader(in))
		for _, want := range frames {
			got, err := ReadFrame(r, nil, limit)
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, got))
		}
		_, err := ReadFrame(r, nil, limit)
		require.Equal(t, end.Error(), err.Error())
	})
}
