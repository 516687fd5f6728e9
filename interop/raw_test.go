package interop

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	dhtpb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

const kadProtocol protocol.ID = "/ipfs/kad/1.0.0"

// signedRecordField is field 11 of Message: a signed peer record, which py-libp2p sends
// and go-libp2p-kad-dht's schema does not have.
const signedRecordField = 11

// request is one frame a raw peer received.
type request struct {
	from   peer.ID
	stream network.Stream
	frame  []byte // without its length prefix
	msg    *dhtpb.Message
}

// hasField11 reports whether the message carries py-libp2p's signed record.
func (r *request) hasField11() bool {
	for b := r.msg.ProtoReflect().GetUnknown(); len(b) > 0; {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return false
		}
		if num == signedRecordField {
			return true
		}
		m := protowire.ConsumeFieldValue(num, typ, b[n:])
		if m < 0 {
			return false
		}
		b = b[n+m:]
	}
	return false
}

// rawPeer reads and writes frames of the protocol and nothing else: it has no routing
// table and no rules. serve decides what it does, and returns false to stop reading.
type rawPeer struct {
	h     host.Host
	serve func(*request) bool

	mu   sync.Mutex
	seen []*request
}

// newRawPeer starts a peer that announces the DHT protocol.
func newRawPeer(t testing.TB, serve func(*request) bool) *rawPeer {
	t.Helper()
	h, err := libp2p.New(
		libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0", "/ip6/::1/tcp/0"),
		libp2p.DisableRelay(),
		libp2p.ResourceManager(nil),
	)
	require.NoError(t, err)
	t.Cleanup(func() { h.Close() })
	p := &rawPeer{h: h, serve: serve}
	h.SetStreamHandler(kadProtocol, p.handle)
	return p
}

func (p *rawPeer) handle(s network.Stream) {
	r := bufio.NewReader(s)
	for {
		frame, err := readFrame(r)
		if err != nil {
			s.Close()
			return
		}
		req := &request{from: s.Conn().RemotePeer(), stream: s, frame: frame, msg: new(dhtpb.Message)}
		if proto.Unmarshal(frame, req.msg) != nil {
			s.Reset()
			return
		}
		p.mu.Lock()
		p.seen = append(p.seen, req)
		p.mu.Unlock()
		if !p.serve(req) {
			return
		}
	}
}

// count returns how many requests of a type arrived, from one peer or, if it is
// empty, from all.
func (p *rawPeer) count(typ dhtpb.Message_MessageType, from peer.ID) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, r := range p.seen {
		if r.msg.Type == typ && (from == "" || r.from == from) {
			n++
		}
	}
	return n
}

func readFrame(r *bufio.Reader) ([]byte, error) {
	size, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, err
	}
	if size > 4<<20 {
		return nil, io.ErrShortBuffer
	}
	b := make([]byte, size)
	_, err = io.ReadFull(r, b)
	return b, err
}

func appendFrame(dst, content []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(content))), content...)
}

// reply writes one message as one frame.
func reply(s network.Stream, m *dhtpb.Message) bool {
	b, err := proto.Marshal(m)
	if err != nil {
		return false
	}
	s.SetWriteDeadline(time.Now().Add(10 * time.Second))
	_, err = s.Write(appendFrame(nil, b))
	return err == nil
}

// ask sends one raw frame on a new stream and returns the first frame of the answer. If
// wait is false it reads nothing and closes the stream for writing.
func (p *rawPeer) ask(t testing.TB, to peer.ID, content []byte, wait bool) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	s, err := p.h.NewStream(ctx, to, kadProtocol)
	require.NoError(t, err)
	defer s.Close()
	s.SetDeadline(time.Now().Add(20 * time.Second))
	_, err = s.Write(appendFrame(nil, content))
	require.NoError(t, err)
	if !wait {
		return nil
	}
	frame, err := readFrame(bufio.NewReader(s))
	require.NoError(t, err)
	return frame
}

// wirePeer is a host as an entry of closerPeers or providerPeers.
func wirePeer(h host.Host) *dhtpb.Message_Peer {
	p := &dhtpb.Message_Peer{Id: []byte(h.ID()), Connection: dhtpb.Message_CONNECTED}
	for _, a := range h.Addrs() {
		p.Addrs = append(p.Addrs, a.Bytes())
	}
	return p
}

// mustInfo parses a full multiaddr.
func mustInfo(t testing.TB, addr string) peer.AddrInfo {
	t.Helper()
	a, err := ma.NewMultiaddr(addr)
	require.NoError(t, err)
	info, err := peer.AddrInfoFromP2pAddr(a)
	require.NoError(t, err)
	return *info
}

// hostAddr is a full multiaddr of a host on TCP.
func hostAddr(t testing.TB, h host.Host) string {
	t.Helper()
	for _, a := range h.Addrs() {
		if _, err := a.ValueForProtocol(ma.P_TCP); err == nil {
			return a.String() + "/p2p/" + h.ID().String()
		}
	}
	t.Fatalf("%s listens on no TCP address", h.ID())
	return ""
}
