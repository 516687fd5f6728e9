package interop

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	dhtpb "github.com/libp2p/go-libp2p-kad-dht/pb"
	recpb "github.com/libp2p/go-libp2p-record/pb"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	holdfast "github.com/holdfast-dht/holdfast/pkg/node"
)

// client is one stream to a server, with go-libp2p-kad-dht's messages.
type client struct {
	t testing.TB
	s network.Stream
	r *bufio.Reader
}

// open opens a stream from p to n.
func (p *rawPeer) open(t testing.TB, n node) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), opTimeout)
	defer cancel()
	require.NoError(t, p.h.Connect(ctx, peer.AddrInfo{ID: n.host().ID(), Addrs: n.host().Addrs()}))
	s, err := p.h.NewStream(ctx, n.host().ID(), kadProtocol)
	require.NoError(t, err)
	t.Cleanup(func() { s.Reset() })
	return &client{t: t, s: s, r: bufio.NewReader(s)}
}

func (c *client) send(m *dhtpb.Message, unknown ...byte) {
	c.t.Helper()
	b, err := proto.Marshal(m)
	require.NoError(c.t, err)
	c.write(appendFrame(nil, append(b, unknown...)))
}

func (c *client) write(b []byte) {
	c.t.Helper()
	c.s.SetDeadline(time.Now().Add(opTimeout))
	_, err := c.s.Write(b)
	require.NoError(c.t, err)
}

func (c *client) read() *dhtpb.Message {
	c.t.Helper()
	c.s.SetDeadline(time.Now().Add(opTimeout))
	frame, err := readFrame(c.r)
	require.NoError(c.t, err)
	m := new(dhtpb.Message)
	require.NoError(c.t, proto.Unmarshal(frame, m))
	require.Empty(c.t, m.ProtoReflect().GetUnknown(), "unknown fields in an answer")
	return m
}

// rejected requires that the server ends the stream without an answer.
func (c *client) rejected() {
	c.t.Helper()
	c.s.SetDeadline(time.Now().Add(opTimeout))
	_, err := readFrame(c.r)
	require.Error(c.t, err)
	require.False(c.t, errors.Is(err, os.ErrDeadlineExceeded), "neither answered nor rejected")
}

// field11 is the unknown field that py-libp2p appends.
func field11() []byte {
	b := protowire.AppendTag(nil, signedRecordField, protowire.BytesType)
	return protowire.AppendBytes(b, []byte("a signed record"))
}

func idle(t testing.TB) *rawPeer {
	return newRawPeer(t, func(r *request) bool { return reply(r.stream, &dhtpb.Message{Type: r.msg.Type, Key: r.msg.Key}) })
}

// serverRules is a Holdfast server, a go-libp2p-kad-dht peer that sends it messages, and
// what those messages contain.
type serverRules struct {
	server        *ours
	p             *rawPeer
	name          ipnsName
	first, second []byte // records of the name: the second is newer
	hash          []byte
}

func newServerRules(t *testing.T) *serverRules {
	name := newName(t)
	return &serverRules{
		server: newOurs(t, holdfast.ModeServer), p: idle(t),
		name: name, first: name.record(t, 1), second: name.record(t, 2),
		hash: randomCID(t).Hash(),
	}
}

// open opens a stream to the server.
func (r *serverRules) open(t *testing.T) *client { return r.p.open(t, r.server) }

// put is a PUT_VALUE of the name.
func (r *serverRules) put(value []byte) *dhtpb.Message { return putMessage(r.name.key, value) }

// add is an ADD_PROVIDER of the hash.
func (r *serverRules) add(providers ...*dhtpb.Message_Peer) *dhtpb.Message {
	return &dhtpb.Message{Type: dhtpb.Message_ADD_PROVIDER, Key: r.hash, ProviderPeers: providers}
}

// putMessage is a PUT_VALUE.
func putMessage(key string, value []byte) *dhtpb.Message {
	return &dhtpb.Message{
		Type: dhtpb.Message_PUT_VALUE, Key: []byte(key),
		Record: &recpb.Record{Key: []byte(key), Value: value},
	}
}

// TestGoServerAnswers checks the answers of a Holdfast node, byte by byte, from the side
// of a go-libp2p-kad-dht peer.
func TestGoServerAnswers(t *testing.T) {
	r := newServerRules(t)
	t.Run("six_on_one_stream", r.testSixOnOneStream)
	t.Run("add_provider_of_py", func(t *testing.T) {
		c := r.open(t)
		c.send(r.add(wirePeer(r.p.h)), field11()...)
		m := c.read()
		require.Equal(t, dhtpb.Message_ADD_PROVIDER, m.Type)
		require.Equal(t, r.hash, m.Key)
		require.Empty(t, m.ProviderPeers)
	})
	t.Run("put_of_py", func(t *testing.T) { // the answer must not contain unknown fields of the request
		c := r.open(t)
		c.send(r.put(r.first), field11()...)
		require.NotNil(t, c.read().Record)
	})
	t.Run("pipelined", r.testPipelined)
	t.Run("older_value", func(t *testing.T) {
		c := r.open(t)
		c.send(r.put(r.second))
		require.Equal(t, r.second, c.read().Record.GetValue())
		c.send(r.put(r.first))
		c.rejected()
	})
}

// testSixOnOneStream sends a message of each type on one stream.
func (r *serverRules) testSixOnOneStream(t *testing.T) {
	c := r.open(t)
	c.send(&dhtpb.Message{Type: dhtpb.Message_PING, Key: []byte("echo")})
	m := c.read()
	require.Equal(t, dhtpb.Message_PING, m.Type)
	require.Equal(t, []byte("echo"), m.Key)

	id := []byte(r.server.host().ID())
	c.send(&dhtpb.Message{Type: dhtpb.Message_FIND_NODE, Key: id})
	m = c.read()
	require.Equal(t, dhtpb.Message_FIND_NODE, m.Type)
	require.NotEmpty(t, m.CloserPeers, "the target itself, also if it is the server")
	require.Equal(t, id, m.CloserPeers[0].Id)
	require.NotEmpty(t, m.CloserPeers[0].Addrs)

	c.send(r.put(r.first))
	m = c.read()
	require.Equal(t, dhtpb.Message_PUT_VALUE, m.Type)
	require.Equal(t, []byte(r.name.key), m.Key)
	require.NotNil(t, m.Record, "go-libp2p-kad-dht crashes without it")
	require.Equal(t, r.first, m.Record.Value)

	c.send(&dhtpb.Message{Type: dhtpb.Message_GET_VALUE, Key: []byte(r.name.key)})
	m = c.read()
	require.Equal(t, r.first, m.Record.GetValue())
	require.Equal(t, []byte(r.name.key), m.Record.GetKey())

	// No answer to ADD_PROVIDER: the next frame answers the next request.
	c.send(r.add(wirePeer(r.p.h)))
	c.send(&dhtpb.Message{Type: dhtpb.Message_PING})
	require.Equal(t, dhtpb.Message_PING, c.read().Type)

	require.Eventually(t, func() bool {
		c.send(&dhtpb.Message{Type: dhtpb.Message_GET_PROVIDERS, Key: r.hash})
		m := c.read()
		return len(m.ProviderPeers) == 1 && string(m.ProviderPeers[0].Id) == string(r.p.h.ID()) && len(m.ProviderPeers[0].Addrs) > 0
	}, opTimeout, 10*time.Millisecond)
}

func (r *serverRules) testPipelined(t *testing.T) {
	c := r.open(t)
	for i := range 100 {
		c.send(&dhtpb.Message{Type: dhtpb.Message_PING, Key: []byte{byte(i)}})
	}
	require.NoError(t, c.s.CloseWrite())
	for i := range 100 {
		require.Equal(t, []byte{byte(i)}, c.read().Key)
	}
	_, err := readFrame(c.r)
	require.ErrorIs(t, err, io.EOF)
}

// TestGoServerRejectsMessages checks that a Holdfast node resets the stream of a message
// that breaks the rules, and goes on serving.
func TestGoServerRejectsMessages(t *testing.T) {
	r := newServerRules(t)
	self, other := wirePeer(r.p.h), wirePeer(idle(t).h)
	bare := &dhtpb.Message_Peer{Id: self.Id}
	long := bytes.Repeat([]byte{1}, 81)
	for what, m := range map[string]*dhtpb.Message{
		"no_key":                   {Type: dhtpb.Message_FIND_NODE},
		"no_record":                {Type: dhtpb.Message_PUT_VALUE, Key: []byte(r.name.key)},
		"other_key":                {Type: dhtpb.Message_PUT_VALUE, Key: []byte(r.name.key), Record: &recpb.Record{Key: []byte("/ipns/x"), Value: r.second}},
		"forged_value":             r.put([]byte("forged")),
		"no_namespace":             putMessage("raw", []byte("v")),
		"unknown_namespace":        putMessage("/no/x", []byte("v")),
		"announcement_for_another": r.add(other),
		"announcement_no_address":  r.add(bare),
		"announcement_no_provider": r.add(),
		"announcement_long_key":    {Type: dhtpb.Message_ADD_PROVIDER, Key: long, ProviderPeers: []*dhtpb.Message_Peer{self}},
		"get_long_key":             {Type: dhtpb.Message_GET_PROVIDERS, Key: long},
		"unknown_type":             {Type: 6, Key: r.hash},
	} {
		t.Run(what, func(t *testing.T) {
			c := r.open(t)
			c.send(m)
			c.rejected()
		})
	}
	r.requireServing(t)
}

// TestGoServerRejectsFrames checks the same for bytes that are no message.
func TestGoServerRejectsFrames(t *testing.T) {
	r := newServerRules(t)
	for what, b := range map[string][]byte{
		"empty_frame":  appendFrame(nil, nil),
		"5_MiB":        binary.AppendUvarint(nil, 5<<20),
		"2^63":         binary.AppendUvarint(nil, 1<<63),
		"endless_size": bytes.Repeat([]byte{0xff}, 16),
		"noise":        appendFrame(nil, bytes.Repeat([]byte{0xff}, 64)),
	} {
		t.Run(what, func(t *testing.T) {
			c := r.open(t)
			c.write(b)
			c.rejected()
		})
	}
	r.requireServing(t)
}

func (r *serverRules) requireServing(t *testing.T) {
	t.Helper()
	c := r.open(t)
	c.send(&dhtpb.Message{Type: dhtpb.Message_PING})
	c.read()
}
