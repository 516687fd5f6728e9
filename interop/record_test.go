package interop

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	dhtpb "github.com/libp2p/go-libp2p-kad-dht/pb"
	recpb "github.com/libp2p/go-libp2p-record/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

const framesDir = "testdata/frames"

var rpcNames = map[dhtpb.Message_MessageType]string{
	dhtpb.Message_PUT_VALUE: "put_value", dhtpb.Message_GET_VALUE: "get_value",
	dhtpb.Message_ADD_PROVIDER: "add_provider", dhtpb.Message_GET_PROVIDERS: "get_providers",
	dhtpb.Message_FIND_NODE: "find_node", dhtpb.Message_PING: "ping",
}

// recorder keeps the first frame of each kind in testdata/frames.
type recorder struct {
	t      *testing.T
	source string // "py-0.4.0"
	mu     sync.Mutex
	done   map[string]bool
}

// save writes one frame with its length prefix as hex under a comment on its origin.
func (r *recorder) save(kind, how string, frame []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.done[kind] {
		return
	}
	r.done[kind] = true
	name := filepath.Join(framesDir, strings.ReplaceAll(r.source+"-"+kind, "_", "-")+".hex")
	text := fmt.Sprintf("# %s\n# Recorded from %s; length prefix and message, as on the stream.\n", how, r.source)
	for b := appendFrame(nil, frame); len(b) > 0; {
		n := min(len(b), 48)
		text += hex.EncodeToString(b[:n]) + "\n"
		b = b[n:]
	}
	require.NoError(r.t, os.WriteFile(name, []byte(text), 0o644))
	r.t.Logf("%s: %d bytes", name, len(frame))
}

// recordingPeer answers like a server with only the records it has been given, and saves
// every request.
func recordingPeer(t *testing.T, rec *recorder) *rawPeer {
	var mu sync.Mutex
	values := map[string]*recpb.Record{}
	var p *rawPeer
	p = newRawPeer(t, func(r *request) bool {
		rec.save(rpcNames[r.msg.Type]+"-request", "A "+r.msg.Type.String()+" request.", r.frame)
		m := &dhtpb.Message{Type: r.msg.Type, Key: r.msg.Key}
		mu.Lock()
		defer mu.Unlock()
		switch r.msg.Type {
		case dhtpb.Message_PUT_VALUE:
			values[string(r.msg.Key)] = r.msg.Record
			m.Record = r.msg.Record
		case dhtpb.Message_GET_VALUE:
			m.Record = values[string(r.msg.Key)]
		case dhtpb.Message_GET_PROVIDERS:
			m.ProviderPeers = []*dhtpb.Message_Peer{wirePeer(p.h)}
		case dhtpb.Message_ADD_PROVIDER:
			if !r.hasField11() {
				return true
			}
		}
		return reply(r.stream, m)
	})
	return p
}

// interview sends a server each type of request once and saves the answers.
func (p *rawPeer) interview(t *testing.T, rec *recorder, server peer.AddrInfo, key, value []byte) {
	t.Helper()
	hash := sha256.Sum256([]byte("content from the recorder"))
	provided := append([]byte{0x12, 32}, hash[:]...) // js-libp2p accepts only multihashes
	require.NoError(t, p.h.Connect(t.Context(), server))
	for _, q := range []struct {
		m    *dhtpb.Message
		wait bool
	}{
		{&dhtpb.Message{Type: dhtpb.Message_FIND_NODE, Key: []byte(p.h.ID())}, true},
		{&dhtpb.Message{Type: dhtpb.Message_GET_VALUE, Key: key}, true},
		{&dhtpb.Message{Type: dhtpb.Message_GET_PROVIDERS, Key: provided}, true},
		{&dhtpb.Message{
			Type: dhtpb.Message_PUT_VALUE, Key: key,
			Record: &recpb.Record{Key: key, Value: value},
		}, true},
		{&dhtpb.Message{
			Type: dhtpb.Message_ADD_PROVIDER, Key: provided,
			ProviderPeers: []*dhtpb.Message_Peer{wirePeer(p.h)},
		}, rec.source != "js"},
		{&dhtpb.Message{Type: dhtpb.Message_PING}, strings.HasPrefix(rec.source, "py-0.8") || rec.source == "js"},
	} {
		b, err := proto.Marshal(q.m)
		require.NoError(t, err)
		if answer := p.ask(t, server.ID, b, q.wait); q.wait {
			rec.save(rpcNames[q.m.Type]+"-reply", "The reply to a "+q.m.Type.String()+".", answer)
		}
	}
}

// TestRecord records testdata/frames again. It runs only with this variable set:
//
//	HOLDFAST_INTEROP_RECORD=1 go test -run TestRecord .
func TestRecord(t *testing.T) {
	if os.Getenv("HOLDFAST_INTEROP_RECORD") == "" {
		t.Skip("HOLDFAST_INTEROP_RECORD is not set")
	}
	for _, v := range pyVersions {
		t.Run("py-"+v, func(t *testing.T) { recordPy(t, findPy(t, v)) })
	}
	t.Run("js", recordJS)
}

func recordPy(t *testing.T, demo pyDemo) {
	rec := &recorder{t: t, source: "py-" + demo.version, done: map[string]bool{}}
	p := recordingPeer(t, rec)
	server := demo.start(t, "server", "--mode", "server", "--bootstrap", hostAddr(t, p.h))
	client := demo.start(t, "client", "--mode", "client", "--bootstrap", hostAddr(t, p.h))
	client.waitFor(`Found \d+ (servers|providers)`, time.Minute)
	if demo.version == py040 {
		return // the demo's server fails on its own key
	}
	server.waitFor(`dvertised as (server|provider)|Failed to advertise`, time.Minute)
	key, value := []byte("a key from the recorder"), []byte("a value from the recorder")
	p.interview(t, rec, mustInfo(t, pyAddr(server)), key, value)
}

func recordJS(t *testing.T) {
	rec := &recorder{t: t, source: "js", done: map[string]bool{}}
	p := recordingPeer(t, rec)
	js := newJS(t)
	js.must("connect", map[string]any{"addr": hostAddr(t, p.h)})
	require.Eventually(t, func() bool { return js.must("table", nil).Size > 0 }, 30*time.Second, 200*time.Millisecond)
	ipns := js.must("ipns", map[string]any{"path": "/ipfs/bafkqaaa"})
	js.must("put", map[string]any{"key": ipns.Key, "value": ipns.Value})
	js.must("get", map[string]any{"key": ipns.Key})
	js.must("provide", map[string]any{"cid": someCID})
	js.must("findProviders", map[string]any{"cid": someCID})
	p.interview(t, rec, mustInfo(t, js.info.Addrs[0]), unhex(t, ipns.Key), unhex(t, ipns.Value))
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	require.NoError(t, err)
	return b
}

const someCID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
