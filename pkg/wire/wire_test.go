package wire

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

func TestParseRejects(t *testing.T) {
	varint := func(num protowire.Number) []byte { return appendVarint(nil, num, 1) }
	text := func(num protowire.Number, b ...byte) []byte {
		return appendBytes(nil, num, append(b, 0)[:max(1, len(b))])
	}
	cases := map[string]struct {
		in  []byte
		err error
	}{
		"nothing":               {nil, ErrEmptyFrame},
		"truncated tag":         {[]byte{0x80}, ErrMalformed},
		"truncated varint":      {[]byte{0x08, 0x80}, ErrMalformed},
		"truncated bytes":       {[]byte{0x12, 5, 1}, ErrMalformed},
		"length over 2^63":      {[]byte{0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, ErrMalformed},
		"field number 0":        {[]byte{0x00, 1}, ErrMalformed},
		"group":                 {[]byte{0x0b, 0x0c}, ErrMalformed},
		"unknown group":         {[]byte{0xa3, 0x01, 0xa4, 0x01}, ErrMalformed},
		"wire type 6":           {[]byte{0x0e, 1}, ErrMalformed},
		"wire type 7":           {[]byte{0x0f, 1}, ErrMalformed},
		"type as bytes":         {text(fieldType, 4), ErrMalformed},
		"key as varint":         {varint(fieldKey), ErrMalformed},
		"record as varint":      {varint(fieldRecord), ErrMalformed},
		"peer as varint":        {varint(fieldCloserPeers), ErrMalformed},
		"broken peer":           {text(fieldProviderPeers, 0x0a), ErrMalformed},
		"peer ID as varint":     {text(fieldCloserPeers, varint(fieldPeerID)...), ErrMalformed},
		"address as varint":     {text(fieldCloserPeers, varint(fieldPeerAddrs)...), ErrMalformed},
		"connection as bytes":   {text(fieldCloserPeers, text(fieldPeerConnection, 1)...), ErrMalformed},
		"broken record":         {text(fieldRecord, 0x0a), ErrMalformed},
		"record key as varint":  {text(fieldRecord, varint(fieldRecordKey)...), ErrMalformed},
		"value as varint":       {text(fieldRecord, varint(fieldRecordValue)...), ErrMalformed},
		"publisher as varint":   {text(fieldRecord, varint(fieldRecordPublisher)...), ErrMalformed},
		"ttl as bytes":          {text(fieldRecord, text(fieldRecordTTL, 1)...), ErrMalformed},
		"rubbish behind a ping": {[]byte{0x08, 0x05, 0xff}, ErrMalformed},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(c.in)
			require.ErrorIs(t, err, c.err)
		})
	}
}

func TestParseUnknownTypes(t *testing.T) {
	for _, v := range []uint64{6, 7, 255, 256, 260, 1 << 32, 1<<64 - 1} {
		m, err := Parse(appendVarint(nil, fieldType, v))
		require.NoError(t, err)
		require.GreaterOrEqual(t, int(m.Type), NumTypes, "type %d", v)
		require.Equal(t, "UNKNOWN", m.Type.String())
	}
}

func TestParseClampsNumbers(t *testing.T) {
	b := protowire.AppendTag(nil, fieldRecord, protowire.BytesType)
	b = protowire.AppendBytes(b, appendVarint(nil, fieldRecordTTL, 1<<40))
	p := appendVarint(appendBytes(nil, fieldPeerID, []byte("id")), fieldPeerConnection, 99)
	b = appendBytes(b, fieldCloserPeers, p)
	m, err := Parse(b)
	require.NoError(t, err)
	require.EqualValues(t, uint32(1<<32-1), m.Record.TTL)
	require.Equal(t, NotConnected, m.CloserPeers[0].Connection)
}

func slicesRepeat(b []byte, n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = b
	}
	return out
}

func TestParseReuse(t *testing.T) {
	big := answer(20, 3)
	small := &Message{Type: Ping, CloserPeers: []Peer{{ID: "other"}}}
	var m Message
	require.NoError(t, m.Parse(big.Append(nil)))
	requireSame(t, big, &m)
	require.NoError(t, m.Parse(small.Append(nil)))
	requireSame(t, small, &m)
	b := big.Append(nil)
	require.NoError(t, m.Parse(b))
	requireSame(t, big, &m)
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = m.Parse(b) }))
}

// Appending to the addresses of one entry does not overwrite those of the next.
func TestParseAddrsAreApart(t *testing.T) {
	m, err := Parse(answer(3, 2).Append(nil))
	require.NoError(t, err)
	want := normal(m)
	_ = append(m.CloserPeers[0].Addrs, []byte("intruder"))
	requireSame(t, &want, m)
}

func TestRawEntries(t *testing.T) {
	m := answer(5, 2)
	want := m.Append(nil)
	for i := range m.CloserPeers {
		m.CloserPeers[i] = Peer{ID: "ignored", Raw: AppendPeer(nil, &m.CloserPeers[i])}
	}
	require.Equal(t, want, m.Append(nil))
	require.Equal(t, len(want), m.Size())
	require.Equal(t, m.CloserPeers[0].Raw, AppendPeer(nil, &m.CloserPeers[0]))
}

func TestTrimTo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMessage(t)
		for i := range m.CloserPeers {
			if rapid.Bool().Draw(t, "raw") {
				m.CloserPeers[i] = Peer{Raw: AppendPeer(nil, &m.CloserPeers[i])}
			}
		}
		before := normal(m)
		limit := rapid.IntRange(0, before.Size()+10).Draw(t, "limit")
		floor := Message{Type: m.Type, Key: m.Key, Record: m.Record}
		fits := m.TrimTo(limit)
		require.Equal(t, floor.Size() <= limit, fits)
		require.Equal(t, m.Size() <= limit, fits)
		if before.Size() <= limit {
			requireSame(t, &before, m)
		}
		require.LessOrEqual(t, len(m.CloserPeers), len(before.CloserPeers))
	})
}

func TestTrimOrder(t *testing.T) {
	m := answer(3, 3)
	full := m.Size()
	m.TrimTo(full - 1)
	require.Equal(t, []int{3, 3, 2}, addrCounts(m), "the farthest peer loses its last address first")
	m.TrimTo(m.Size() - 30)
	require.Equal(t, []int{3, 2, 1}, addrCounts(m))
	for m.Size() > 3*60 {
		m.TrimTo(m.Size() - 1)
	}
	require.Equal(t, []int{1, 1, 1}, addrCounts(m), "one address each before a peer goes")
	m.TrimTo(m.Size() - 1)
	require.Equal(t, []int{1, 1}, addrCounts(m))
	require.False(t, m.TrimTo(1), "type and key remain")
	require.Empty(t, m.CloserPeers)
}

func TestTrimKeepsSharedArrays(t *testing.T) {
	m := answer(4, 4)
	addrs := m.CloserPeers[3].Addrs
	want := append([][]byte{}, addrs...)
	m.TrimTo(100)
	require.Equal(t, want, addrs)
}

func TestTrimUndecodableRaw(t *testing.T) {
	m := Message{Type: FindNode, CloserPeers: []Peer{{ID: idA}, {Raw: []byte{0xff, 0xff}}}}
	require.True(t, m.TrimTo(m.Size()-1))
	require.Len(t, m.CloserPeers, 1)
}

func addrCounts(m *Message) []int {
	var n []int
	for i := range m.CloserPeers {
		n = append(n, len(m.CloserPeers[i].Addrs))
	}
	return n
}

func TestReadFrameErrors(t *testing.T) {
	cases := map[string]struct {
		in  string
		err error
	}{
		"nothing":            {"", io.EOF},
		"half a prefix":      {"\x80", io.ErrUnexpectedEOF},
		"content missing":    {"\x05", io.ErrUnexpectedEOF},
		"content cut":        {"\x05abc", io.ErrUnexpectedEOF},
		"over the limit":     {"\x81\x08", ErrFrameTooLarge},
		"5 MiB":              {"\x80\x80\xc0\x02", ErrFrameTooLarge},
		"2^63":               {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", ErrFrameTooLarge},
		"2^64-1":             {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", ErrFrameTooLarge},
		"over 64 bits":       {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", ErrFrameTooLarge},
		"endless prefix":     {strings.Repeat("\xff", 30), ErrFrameTooLarge},
		"prefix not minimal": {"\x83\x00abc", ErrMalformed},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := ReadFrame(bufio.NewReader(strings.NewReader(c.in)), nil, 1024)
			require.ErrorIs(t, err, c.err)
			_, err = readAll(NewFrameReader(1, 1024), strings.NewReader(c.in))
			require.ErrorIs(t, err, c.err)
		})
	}
}

// A peer that claims 4 MiB and sends little does not cost 4 MiB.
func TestFramesGrowWithTheData(t *testing.T) {
	prefix := protowire.AppendVarint(nil, MaxFrame)
	in := append(prefix, make([]byte, 100_000)...)
	buf := make([]byte, 0, 16)
	got := testing.AllocsPerRun(1, func() {
		_, err := ReadFrame(bytes.NewReader(in), buf, MaxFrame)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	})
	require.Less(t, got, 20.0)
	f := NewFrameReader(16, MaxFrame)
	_, err := readAll(f, bytes.NewReader(in))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Less(t, len(f.buf), 4*len(in))
}

func TestFrameReader(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(0, 40_000), 0, 8).Draw(t, "sizes")
		var in []byte
		var want [][]byte
		for i, n := range sizes {
			frame := bytes.Repeat([]byte{byte(i + 1)}, n)
			want = append(want, frame)
			in = protowire.AppendVarint(in, uint64(n))
			in = append(in, frame...)
		}
		var r io.Reader = bytes.NewReader(in)
		if rapid.Bool().Draw(t, "drip") {
			r = iotest.HalfReader(r)
		}
		got, err := readAll(NewFrameReader(rapid.IntRange(0, 100).Draw(t, "buffer"), 40_000), r)
		require.Equal(t, io.EOF, err)
		require.Equal(t, want, got)
	})
}

func TestFrameReaderLetsGoOfLargeBuffers(t *testing.T) {
	f := NewFrameReader(100, MaxFrame)
	in := append(protowire.AppendVarint(nil, 1<<20), make([]byte, 1<<20)...)
	_, err := readAll(f, bytes.NewReader(in))
	require.Equal(t, io.EOF, err)
	require.Len(t, f.buf, frameKeep)
	require.Zero(t, f.Buffered())
}

func TestFrameReaderPassesErrors(t *testing.T) {
	broken := errors.New("broken")
	_, err := readAll(NewFrameReader(8, 100), iotest.ErrReader(broken))
	require.ErrorIs(t, err, broken)
	_, err = ReadFrame(bufio.NewReader(iotest.ErrReader(broken)), nil, 100)
	require.ErrorIs(t, err, broken)
}

// readAll returns copies of the frames of r and the error that ended them.
func readAll(f *FrameReader, r io.Reader) (frames [][]byte, err error) {
	for {
		frame, ok, err := f.Next()
		if err != nil {
			return frames, err
		}
		if ok {
			frames = append(frames, bytes.Clone(frame))
			continue
		}
		if _, err := f.Fill(r); err != nil {
			return frames, err
		}
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMessage(t)
		b := m.Append(nil)
		require.Len(t, b, m.Size())
		if len(b) == 0 {
			return
		}
		got, err := Parse(b)
		require.NoError(t, err)
		requireSame(t, m, got)
		frame := AppendFrame(nil, m)
		body, err := ReadFrame(bytes.NewReader(frame), nil, MaxFrame)
		require.NoError(t, err)
		require.Equal(t, b, body)
	})
}

func drawMessage(t *rapid.T) *Message {
	blob := func(label string, lo, hi int) []byte {
		return rapid.SliceOfN(rapid.Byte(), lo, hi).Draw(t, label)
	}
	peers := func(label string) []Peer {
		out := make([]Peer, rapid.IntRange(0, 6).Draw(t, label))
		for i := range out {
			out[i] = Peer{ID: kad.PeerID(blob("id", 1, 40)), Connection: Connection(rapid.IntRange(0, 3).Draw(t, "connection"))}
			for range rapid.IntRange(0, 4).Draw(t, "addrs") {
				out[i].Addrs = append(out[i].Addrs, blob("addr", 1, 60))
			}
		}
		return out
	}
	m := &Message{Type: Type(rapid.IntRange(0, NumTypes-1).Draw(t, "type")), Key: blob("key", 0, 90)}
	if rapid.Bool().Draw(t, "has record") {
		m.Record = &Record{
			Key: blob("record key", 0, 90), Value: blob("value", 0, 200), Publisher: blob("publisher", 0, 40),
			TimeReceived: rapid.StringMatching(`[0-9TZ:.-]{0,35}`).Draw(t, "time"), TTL: rapid.Uint32().Draw(t, "ttl"),
		}
	}
	m.CloserPeers, m.ProviderPeers = peers("closer"), peers("providers")
	return m
}

// answer is a FIND_NODE reply.
func answer(peers, addrs int) *Message {
	m := &Message{Type: FindNode, Key: []byte("key")}
	for i := range peers {
		p := Peer{ID: kad.PeerID(fmt.Sprintf("%s%02d", idA[:32], i)), Connection: Connected}
		for j := range addrs {
			p.Addrs = append(p.Addrs, []byte(fmt.Sprintf("%s%02d", quic, j)))
		}
		m.CloserPeers = append(m.CloserPeers, p)
	}
	return m
}

// A lost connection is not a normal end of a stream, although yamux reports it with an
// error that wraps io.EOF.
func TestWrappedEOFIsNoEnd(t *testing.T) {
	lost := iotest.ErrReader(fmt.Errorf("connection closed: %w", io.EOF))
	_, err := NewFrameReader(64, 1<<10).Fill(lost)
	require.ErrorContains(t, err, "connection closed")
	_, err = ReadFrame(bufio.NewReader(lost), nil, 1<<10)
	require.ErrorContains(t, err, "connection closed")
}
