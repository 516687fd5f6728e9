package wire

import (
	"bytes"
	"fmt"
	"io"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

// popular returns an answer with n providers, each with four addresses.
func popular(providers int) *Message {
	m := &Message{Type: GetProviders, Key: []byte("popular")}
	for i := range providers {
		p := Peer{ID: kad.PeerID(fmt.Sprintf("%038d", i))}
		for a := range 4 {
			p.Addrs = append(p.Addrs, []byte{4, 127, 0, 0, 1, 6, byte(i), byte(a)})
		}
		m.ProviderPeers = append(m.ProviderPeers, p)
	}
	return m
}

// inParts parses one frame in parts and returns the message and the size of the largest
// buffer.
func inParts(f *FrameReader, r io.Reader, size, longest int) (m *Message, buffer int, err error) {
	m = new(Message)
	var providers []Peer
	for {
		part, last, ok, err := f.Part(size, longest)
		if err != nil {
			return m, buffer, err
		}
		if ok {
			if err := m.ParsePart(bytes.Clone(part)); err != nil {
				return m, buffer, err
			}
			f.Take(len(part))
			providers, m.ProviderPeers = append(providers, m.ProviderPeers...), nil
			if last {
				m.ProviderPeers = providers
				return m, buffer, nil
			}
		}
		if _, err := f.Fill(r); err != nil {
			return m, buffer, err
		}
		buffer = max(buffer, len(f.buf))
	}
}

// A reply parsed in parts of any size equals the reply parsed whole.
func TestPartsAreTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawMessage(t)
		b := want.Append(nil)
		if len(b) == 0 {
			return
		}
		whole, err := Parse(b)
		require.NoError(t, err)
		next := AppendFrame(nil, &Message{Type: Ping, Key: []byte("next")})
		var r io.Reader = bytes.NewReader(append(AppendFrame(nil, want), next...))
		if rapid.Bool().Draw(t, "drip") {
			r = iotest.OneByteReader(r)
		}
		f := NewFrameReader(rapid.IntRange(0, 100).Draw(t, "buffer"), MaxFrame)
		got, _, err := inParts(f, r, rapid.IntRange(1, 300).Draw(t, "size"), MaxFrame)
		require.NoError(t, err)
		requireSame(t, whole, got)
		got, _, err = inParts(f, r, 1, MaxFrame)
		require.NoError(t, err)
		require.Equal(t, "next", string(got.Key))
	})
}

// The largest reply needs a buffer of one part only, and loses none of its providers.
func TestPartsTakeLittleMemory(t *testing.T) {
	const size = 64 << 10
	for _, n := range []int{500, 4000, 12_000, 50_000} {
		frame := AppendFrame(nil, popular(n))
		m, buffer, err := inParts(NewFrameReader(2<<10, MaxFrame), bytes.NewReader(frame), size, size)
		require.NoError(t, err)
		require.Len(t, m.ProviderPeers, n)
		require.Equal(t, size, buffer, "a frame of %d bytes", len(frame))
	}
	require.Greater(t, len(AppendFrame(nil, popular(50_000))), MaxFrame-200_000)
}

// All providers that fit in a part are kept: no entry is shorter than minPeerEntry.
func TestMinPeerEntry(t *testing.T) {
	m := &Message{}
	for i := range 3 * MaxProviderPeers {
		m.ProviderPeers = append(m.ProviderPeers, Peer{ID: kad.PeerID(fmt.Sprintf("%034d", i))})
	}
	b := m.Append(nil)
	require.Len(t, b, minPeerEntry*len(m.ProviderPeers))
	got := new(Message)
	require.NoError(t, got.ParsePart(b))
	require.Len(t, got.ProviderPeers, len(m.ProviderPeers))
	got, err := Parse(b)
	require.NoError(t, err)
	require.Len(t, got.ProviderPeers, MaxProviderPeers)
}

// The limits of a field and of the buffer hold to the byte.
func TestLongestField(t *testing.T) {
	const size, longest = 1 << 10, 8 << 10
	for _, n := range []int{longest, longest + 1, 3 * longest} {
		b := protowire.AppendTag(nil, fieldKey, protowire.BytesType)
		content := n - len(b) - protowire.SizeVarint(uint64(n)) // of the length
		b = protowire.AppendBytes(b, make([]byte, content))
		require.Len(t, b, n)
		b = append(b, popular(100).Append(nil)...)
		frame := append(protowire.AppendVarint(nil, uint64(len(b))), b...)
		_, buffer, err := inParts(NewFrameReader(size, MaxFrame), bytes.NewReader(frame), size, longest)
		require.Equal(t, longest, buffer)
		if n == longest {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, ErrFrameTooLarge)
		}
	}
}

func TestPartsRefuse(t *testing.T) {
	group := protowire.AppendTag(nil, 15, protowire.StartGroupType)
	for name, c := range map[string]struct {
		in  []byte
		err error
	}{
		"too large":      {protowire.AppendVarint(nil, MaxFrame+1), ErrFrameTooLarge},
		"cut":            {AppendFrame(nil, popular(3))[:50], io.ErrUnexpectedEOF},
		"cut at a field": {append(protowire.AppendVarint(nil, 9), 8, 3), io.ErrUnexpectedEOF},
		"group":          {append(protowire.AppendVarint(nil, 100), append(group, make([]byte, 60)...)...), ErrMalformed},
		"ended":          {nil, io.EOF},
	} {
		_, _, err := inParts(NewFrameReader(1, MaxFrame), bytes.NewReader(c.in), 1, 64)
		require.ErrorIs(t, err, c.err, name)
	}
}
