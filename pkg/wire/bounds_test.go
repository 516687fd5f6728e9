package wire

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

// parsePeers parses a message of closer peers, each encoded with all its addresses.
func parsePeers(t *testing.T, peers ...Peer) []Peer {
	var b []byte
	for _, p := range peers {
		b = appendBytes(b, fieldCloserPeers, p.append(nil, len(p.Addrs)))
	}
	m, err := Parse(b)
	require.NoError(t, err)
	return m.CloserPeers
}

func TestMaxPeers(t *testing.T) {
	var b []byte
	for i := range MaxCloserPeers + 1 {
		b = appendBytes(b, fieldCloserPeers, AppendPeer(nil, &Peer{ID: kad.PeerID(fmt.Sprint("c", i))}))
	}
	for i := range MaxProviderPeers + 1 {
		b = appendBytes(b, fieldProviderPeers, AppendPeer(nil, &Peer{ID: kad.PeerID(fmt.Sprint("p", i))}))
	}
	m, err := Parse(b)
	require.NoError(t, err)
	require.Len(t, m.CloserPeers, MaxCloserPeers)
	require.EqualValues(t, fmt.Sprint("c", MaxCloserPeers-1), m.CloserPeers[MaxCloserPeers-1].ID)
	require.Len(t, m.ProviderPeers, MaxProviderPeers)
}

// Entries without a usable ID are skipped and take no place.
func TestMaxPeerIDLen(t *testing.T) {
	longest := kad.PeerID(strings.Repeat("x", MaxPeerIDLen))
	got := parsePeers(t, Peer{ID: longest + "x"}, Peer{Addrs: [][]byte{{1}}}, Peer{ID: longest})
	require.Len(t, got, 1)
	require.Equal(t, longest, got[0].ID)
}

func TestMaxAddrs(t *testing.T) {
	longest := bytes.Repeat([]byte{1}, MaxAddrLen)
	got := parsePeers(t,
		Peer{ID: "many", Addrs: slicesRepeat([]byte{1}, MaxPeerAddrs+1)},
		Peer{ID: "long", Addrs: [][]byte{append(longest, 1), longest, {}}})
	require.Len(t, got[0].Addrs, MaxPeerAddrs)
	require.Equal(t, [][]byte{longest}, got[1].Addrs)
}

// An entry may be as long as MaxPeerEntry, to the byte: the address that would make
// it longer is neither written nor kept.
func TestMaxPeerEntry(t *testing.T) {
	entry := func(size int) Peer {
		p := Peer{ID: "p", Addrs: slicesRepeat(make([]byte, 253), 31)} // 256 bytes each
		_, n := p.fit()
		p.Addrs = append(p.Addrs, make([]byte, size-n-sizeNested(fieldPeerAddrs, 200)+200))
		return p
	}
	whole := entry(MaxPeerEntry)
	require.Len(t, AppendPeer(nil, &whole), MaxPeerEntry)
	require.Equal(t, whole.Addrs, parsePeers(t, whole)[0].Addrs)

	over := entry(MaxPeerEntry + 1)
	want := over.Addrs[:31]
	require.Equal(t, want, parsePeers(t, over)[0].Addrs)
	require.Equal(t, AppendPeer(nil, &Peer{ID: "p", Addrs: want}), AppendPeer(nil, &over))
	m := Message{CloserPeers: []Peer{over}}
	require.Len(t, m.Append(nil), m.Size())
}

func TestMaxTimeReceived(t *testing.T) {
	longest := strings.Repeat("t", maxTimeReceived)
	for said, want := range map[string]string{longest: longest, longest + "t": ""} {
		m := Message{Record: &Record{Key: []byte("k"), TimeReceived: said}}
		got, err := Parse(m.Append(nil))
		require.NoError(t, err)
		require.Equal(t, want, got.Record.TimeReceived)
	}
}

func TestMaxFrame(t *testing.T) {
	frame := func(n int) *bytes.Reader {
		return bytes.NewReader(append(protowire.AppendVarint(nil, uint64(n)), make([]byte, n)...))
	}
	b, err := ReadFrame(frame(MaxFrame), nil, MaxFrame)
	require.NoError(t, err)
	require.Len(t, b, MaxFrame)
	got, err := readAll(NewFrameReader(0, MaxFrame), frame(MaxFrame))
	require.Equal(t, io.EOF, err)
	require.Len(t, got[0], MaxFrame)

	_, err = ReadFrame(frame(MaxFrame+1), nil, MaxFrame)
	require.ErrorIs(t, err, ErrFrameTooLarge)
	_, err = readAll(NewFrameReader(0, MaxFrame), frame(MaxFrame+1))
	require.ErrorIs(t, err, ErrFrameTooLarge)
}

// A reply of MaxReply bytes is left alone; of one byte more an address is left out.
func TestMaxReply(t *testing.T) {
	for _, extra := range []int{0, 1} {
		m := answer(20, 3)
		m.Key = make([]byte, 128)
		m.Key = make([]byte, 128+MaxReply+extra-m.Size())
		require.Equal(t, MaxReply+extra, m.Size())
		want := m.Size()
		if extra > 0 {
			last := m.CloserPeers[len(m.CloserPeers)-1]
			want -= sizeNested(fieldPeerAddrs, len(last.Addrs[2]))
		}
		require.True(t, m.TrimTo(MaxReply))
		require.Equal(t, want, m.Size())
	}
}
