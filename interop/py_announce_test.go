package interop

import (
	"testing"
	"time"

	dhtpb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	holdfast "github.com/holdfast-dht/holdfast/pkg/node"
)

// py-libp2p 0.8.1 accepts 10 announcements in 10 s from one peer. All of 40 keys are
// stored after little more than the time that this takes, and each is reported as stored.
func TestPyTakesAllAnnouncements(t *testing.T) {
	server := findPy(t, py081).start(t, "server", "--mode", "server")
	server.waitFor(`DHT service started`, 30*time.Second)
	info := mustInfo(t, pyAddr(server))
	n := newOurs(t, holdfast.ModeClient)
	require.NoError(t, n.Host().Connect(t.Context(), info))
	require.Eventually(t, func() bool { return n.tableSize() > 0 }, opTimeout, 20*time.Millisecond)

	var keys [][]byte
	for range 40 {
		keys = append(keys, randomCID(t).Hash())
	}
	start := time.Now()
	_, err := n.ProvideMany(t.Context(), keys)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return n.Status().Republish.Unannounced == 0 }, 2*time.Minute, 50*time.Millisecond)
	t.Logf("announced after %s", time.Since(start).Round(time.Second))
	require.Empty(t, n.Status().Republish.Failures)

	asker := newRawPeer(t, func(*request) bool { return false })
	require.NoError(t, asker.h.Connect(t.Context(), info))
	for _, key := range keys {
		require.Contains(t, asker.providers(t, info.ID, key), n.Host().ID())
	}
}

// py-libp2p 0.6.0 stores what our command line's node announces. As a TLS server it would
// mistake the node for another peer and drop the record.
func TestPyKnowsWhoAnnounces(t *testing.T) {
	server := findPy(t, py060).start(t, "server", "--mode", "server")
	server.waitFor(`DHT service started`, 30*time.Second)
	key := randomCID(t)
	exit, stdout, stderr := run(t, t.TempDir(), nil, holdfastBinary(t), "provide", "--bootstrap", pyAddr(server), key.String())
	require.Zero(t, exit, stderr)
	t.Log(stdout)
	info := mustInfo(t, pyAddr(server))
	asker := newRawPeer(t, func(*request) bool { return false })
	require.NoError(t, asker.h.Connect(t.Context(), info))
	require.NotEmpty(t, asker.providers(t, info.ID, key.Hash()))
}

// providers asks a server for the providers of a key.
func (p *rawPeer) providers(t *testing.T, server peer.ID, key []byte) (ids []peer.ID) {
	t.Helper()
	req, err := proto.Marshal(&dhtpb.Message{Type: dhtpb.Message_GET_PROVIDERS, Key: key})
	require.NoError(t, err)
	var m dhtpb.Message
	require.NoError(t, proto.Unmarshal(p.ask(t, server, req, true), &m))
	for _, x := range m.ProviderPeers {
		ids = append(ids, peer.ID(x.Id))
	}
	return ids
}
