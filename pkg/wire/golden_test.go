package wire

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

var (
	idA  = kad.PeerID("\x12\x20" + strings.Repeat("\xa1", 32))
	idB  = kad.PeerID("\x12\x20" + strings.Repeat("\xb2", 32))
	mh   = []byte("\x12\x20" + strings.Repeat("\xcd", 32))
	pkA  = []byte("/pk/" + string(idA))
	tcp  = []byte("\x04\x7f\x00\x00\x01\x06\x0f\xa1")             // /ip4/127.0.0.1/tcp/4001
	quic = []byte("\x04\x01\x02\x03\x04\x91\x02\x0f\xa1\xcd\x03") // /ip4/1.2.3.4/udp/4001/quic-v1
)

// golden describes the frames of testdata/golden. They were written by hand from the
// specifications and from messages of other implementations.
var golden = map[string]struct {
	want Message
	ours bool // this package writes the same bytes
}{
	"find_node_request": {Message{Type: FindNode, Key: []byte(idB)}, true},
	"find_node_reply": {Message{Type: FindNode, CloserPeers: []Peer{
		{ID: idA, Addrs: [][]byte{tcp, quic}}, {ID: idB, Addrs: [][]byte{quic}, Connection: Connected},
	}}, true},
	"get_value_request": {Message{Type: GetValue, Key: pkA}, true},
	"get_value_reply": {Message{
		Type: GetValue, Key: pkA,
		Record:      &Record{Key: pkA, Value: []byte("value"), TimeReceived: "2026-08-01T12:00:00.123456789Z"},
		CloserPeers: []Peer{{ID: idB, Addrs: [][]byte{quic}}},
	}, true},
	"put_value_request":            {Message{Key: pkA, Record: &Record{Key: pkA, Value: []byte("value")}}, true},
	"put_value_reply":              {Message{Key: pkA, Record: &Record{Key: pkA, Value: []byte("value")}}, true},
	"put_value_ack_without_record": {Message{Key: pkA}, true},
	"put_value_rust": {Message{Key: []byte("key"), Record: &Record{
		Key: []byte("key"), Value: []byte("value"), Publisher: []byte(idA), TTL: 172800,
	}}, true},
	"put_value_py": {Message{Key: []byte("key"), Record: &Record{Key: []byte("key"), Value: []byte("value")}}, false},
	"put_value_py_text": {Message{Key: []byte("key"), Record: &Record{
		Key: []byte("key"), Value: []byte("value"), TimeReceived: "1785585600.5",
	}}, true},
	"add_provider_request": {Message{Type: AddProvider, Key: mh, ProviderPeers: []Peer{{ID: idA, Addrs: [][]byte{tcp, quic}}}}, true},
	"add_provider_reply":   {Message{Type: AddProvider, Key: mh}, true},
	"add_provider_py": {Message{
		Type: AddProvider, Key: mh, ProviderPeers: []Peer{{ID: idA, Addrs: [][]byte{tcp}}}, WantsAck: true,
	}, false},
	"get_providers_request": {Message{Type: GetProviders, Key: mh}, true},
	"get_providers_enum11":  {Message{Type: GetProviders, Key: mh, WantsAck: true}, false},
	"get_providers_reply": {Message{
		Type: GetProviders, Key: mh, ProviderPeers: []Peer{{ID: idA}},
		CloserPeers: []Peer{{ID: idB, Addrs: [][]byte{quic}, Connection: Connected}},
	}, true},
	"ping_request":  {Message{Type: Ping}, true},
	"ping_with_key": {Message{Type: Ping, Key: []byte("k")}, true},
	"cluster_level": {Message{Type: FindNode, Key: []byte(idB)}, false},
}

func TestGoldenFrames(t *testing.T) {
	files, err := filepath.Glob("testdata/golden/*.hex")
	require.NoError(t, err)
	require.Len(t, files, len(golden)+1, "every file is tested; empty.hex has its own test")
	for name, g := range golden {
		t.Run(name, func(t *testing.T) {
			frame := readGolden(t, name)
			body, err := ReadFrame(bufio.NewReader(bytes.NewReader(frame)), nil, MaxFrame)
			require.NoError(t, err)
			m, err := Parse(body)
			require.NoError(t, err)
			requireSame(t, &g.want, m)
			if g.ours {
				require.Equal(t, frame, AppendFrame(nil, &g.want))
			}
		})
	}
}

func TestGoldenEmptyFrame(t *testing.T) {
	body, err := ReadFrame(bytes.NewReader(readGolden(t, "empty")), nil, MaxFrame)
	require.NoError(t, err)
	_, err = Parse(body)
	require.ErrorIs(t, err, ErrEmptyFrame)
}

// readGolden decodes a file of hex digits; # begins a comment.
func readGolden(tb testing.TB, name string) []byte {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "golden", name+".hex"))
	require.NoError(tb, err)
	var digits strings.Builder
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	require.NoError(tb, err)
	return b
}

// requireSame compares messages. Empty and nil slices are equal.
func requireSame(t require.TestingT, want, got *Message) {
	require.Equal(t, normal(want), normal(got))
}

func normal(m *Message) Message {
	n := *m
	n.Key = append([]byte{}, m.Key...)
	n.CloserPeers, n.ProviderPeers = normalPeers(m.CloserPeers), normalPeers(m.ProviderPeers)
	if m.Record != nil {
		r := *m.Record
		r.Key, r.Value = append([]byte{}, r.Key...), append([]byte{}, r.Value...)
		r.Publisher = append([]byte{}, r.Publisher...)
		n.Record = &r
	}
	return n
}

func normalPeers(ps []Peer) []Peer {
	out := []Peer{}
	for _, p := range ps {
		p.Addrs = append([][]byte{}, p.Addrs...)
		out = append(out, p)
	}
	return out
}
