package interop

import (
	"bytes"
	"context"
	"encoding/binary"
	"maps"
	"testing"
	"time"

	dhtpb "github.com/libp2p/go-libp2p-kad-dht/pb"
	recpb "github.com/libp2p/go-libp2p-record/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
)

// village is a network of Holdfast nodes among peers that break the protocol.
type village struct {
	*mixedNet
	fakes map[string]*rawPeer
}

// polite is a correct answer of a peer that stores nothing.
func (v *village) polite(r *request) *dhtpb.Message {
	m := &dhtpb.Message{Type: r.msg.Type, Key: r.msg.Key}
	switch r.msg.Type {
	case dhtpb.Message_PUT_VALUE:
		m.Record = r.msg.Record
	case dhtpb.Message_PING:
	default:
		for _, n := range v.nodes {
			m.CloserPeers = append(m.CloserPeers, wirePeer(n.host()))
		}
	}
	return m
}

// behaviours are the ways in which real or hostile peers break the protocol. Each returns
// false when it stops reading the stream.
func (v *village) behaviours() map[string]func(*request) bool {
	all := v.brokenAnswers()
	maps.Copy(all, v.falseAnswers())
	return all
}

// brokenAnswers are the behaviours of peers that answer at the wrong time, with the wrong
// bytes or not at all.
func (v *village) brokenAnswers() map[string]func(*request) bool {
	return map[string]func(*request) bool{
		// py-libp2p up to 0.4.0 does this; it crashes go-libp2p-kad-dht.
		"acks without a record": func(r *request) bool {
			m := v.polite(r)
			m.Record = nil
			return r.msg.Type == dhtpb.Message_ADD_PROVIDER || reply(r.stream, m)
		},
		// py-libp2p up to 0.4.0 serves one request a stream and answers ADD_PROVIDER.
		"serves one request a stream": func(r *request) bool {
			reply(r.stream, v.polite(r))
			r.stream.Close()
			return false
		},
		"answers ADD_PROVIDER and goes on": func(r *request) bool { return reply(r.stream, v.polite(r)) },
		"never answers":                    func(r *request) bool { return true },
		"answers half a frame":             func(r *request) bool { r.stream.Write([]byte{100, 8, 4}); return true },
		"resets":                           func(r *request) bool { r.stream.Reset(); return false },
		"answers with an empty frame":      func(r *request) bool { return write(r, appendFrame(nil, nil)) },
		"claims 2^63 bytes":                func(r *request) bool { return write(r, binary.AppendUvarint(nil, 1<<63)) },
		"answers with noise":               func(r *request) bool { return write(r, appendFrame(nil, bytes.Repeat([]byte{0xff}, 200))) },
		"answers another type": func(r *request) bool {
			m := v.polite(r)
			m.Type = (m.Type + 1) % 6
			return reply(r.stream, m)
		},
	}
}

// falseAnswers are the behaviours of peers whose well-formed answers have false content,
// or too much of it.
func (v *village) falseAnswers() map[string]func(*request) bool {
	return map[string]func(*request) bool{
		"names 1,000 closer peers": func(r *request) bool {
			m := v.polite(r)
			first := m.CloserPeers
			for i := 0; len(m.CloserPeers) < 1000; i++ {
				if i%10 == 0 && len(first) > 0 {
					m.CloserPeers = append(m.CloserPeers, first[i%len(first)])
				}
				m.CloserPeers = append(m.CloserPeers, &dhtpb.Message_Peer{
					Id: []byte("\x12\x20" + randomKey()), Addrs: [][]byte{{4, 127, 0, 0, 1, 6, 0, 1}},
				})
			}
			return reply(r.stream, m)
		},
		"names 10,000 addresses": func(r *request) bool {
			m := v.polite(r)
			m.CloserPeers = []*dhtpb.Message_Peer{{Id: []byte(r.from)}, {Id: []byte("\x12\x20" + randomKey())}, {Id: []byte("no peer ID")}}
			for i := range 10_000 {
				m.CloserPeers[1].Addrs = append(m.CloserPeers[1].Addrs, []byte{4, 127, 0, byte(i >> 8), byte(i), 6, 0, 1})
			}
			return reply(r.stream, m)
		},
		"has forged records": func(r *request) bool {
			m := v.polite(r)
			m.Record = &recpb.Record{Key: r.msg.Key, Value: []byte("forged")}
			m.ProviderPeers = []*dhtpb.Message_Peer{{Id: []byte("no peer ID")}, {Id: nil}}
			return r.msg.Type == dhtpb.Message_ADD_PROVIDER || reply(r.stream, m)
		},
		"has records of other keys": func(r *request) bool {
			m := v.polite(r)
			m.Record = &recpb.Record{Key: []byte("/pk/another"), Value: []byte("value")}
			m.Key = []byte("another")
			return r.msg.Type == dhtpb.Message_ADD_PROVIDER || reply(r.stream, m)
		},
	}
}

func write(r *request, b []byte) bool {
	_, err := r.stream.Write(b)
	return err == nil
}

// TestHostileNeighbours runs five Holdfast nodes among one peer of each kind. Whatever
// those peers do, every operation between the Holdfast nodes works, and all five are
// still up at the end.
func TestHostileNeighbours(t *testing.T) {
	v := &village{mixedNet: newNetwork(t, 5, 0), fakes: map[string]*rawPeer{}}
	for how, serve := range v.behaviours() {
		v.fakes[how] = newRawPeer(t, serve)
	}
	for _, p := range v.fakes {
		for _, n := range v.nodes {
			ctx, cancel := context.WithTimeout(t.Context(), opTimeout)
			require.NoError(t, p.h.Connect(ctx, peer.AddrInfo{ID: n.host().ID(), Addrs: n.host().Addrs()}))
			cancel()
		}
	}
	for how, p := range v.fakes {
		require.Eventually(t, func() bool { return p.count(dhtpb.Message_FIND_NODE, "") > 0 }, opTimeout, 50*time.Millisecond,
			"the peer that %s was never asked", how)
	}
	for _, n := range v.nodes {
		require.NoError(t, n.refresh(v.ctx()))
	}
	t.Run("find_peer", v.testFindPeerOurs)
	t.Run("provide", v.testProvideOurs)
	t.Run("value", v.testValueOurs)
	t.Run("ping", v.testPingOurs)

	// The peers that look well-behaved are in routing tables, so they get records.
	for _, how := range []string{"acks without a record", "serves one request a stream", "answers ADD_PROVIDER and goes on"} {
		for _, typ := range []dhtpb.Message_MessageType{dhtpb.Message_PUT_VALUE, dhtpb.Message_ADD_PROVIDER} {
			require.NotZero(t, v.fakes[how].count(typ, ""), "the peer that %s got no %s", how, typ)
		}
	}
}

func (v *village) testFindPeerOurs(t *testing.T) {
	for range 10 {
		a := v.pick("holdfast")
		b := v.pick("holdfast", a)
		info, err := a.FindPeer(v.ctx(), b.host().ID())
		require.NoError(t, err)
		require.NotEmpty(t, info.Addrs)
	}
}

func (v *village) testProvideOurs(t *testing.T) {
	for range 5 {
		a := v.pick("holdfast")
		c := randomCID(t)
		require.NoError(t, a.Provide(v.ctx(), c, true))
		for _, b := range v.nodes {
			if b != a {
				require.True(t, provides(v.ctx(), b, c, a))
			}
		}
	}
}

func (v *village) testValueOurs(t *testing.T) {
	for range 5 {
		a := v.pick("holdfast")
		name := newName(t)
		for seq := uint64(1); seq <= 2; seq++ {
			value := name.record(t, seq)
			require.NoError(t, a.PutValue(v.ctx(), name.key, value))
			for _, b := range v.nodes {
				got, err := b.GetValue(v.ctx(), name.key)
				require.NoError(t, err)
				require.Equal(t, value, got)
			}
		}
	}
}

func (v *village) testPingOurs(t *testing.T) {
	for _, a := range v.nodes {
		b := v.pick("holdfast", a)
		require.NoError(t, a.ping(v.ctx(), b.host().ID()))
	}
}
