package interop

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	dhtpb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// readHex returns the frame in one file of testdata/frames, with its length prefix.
func readHex(t testing.TB, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var digits strings.Builder
	for l := range strings.Lines(string(text)) {
		if !strings.HasPrefix(l, "#") {
			digits.WriteString(strings.TrimSpace(l))
		}
	}
	b, err := hex.DecodeString(digits.String())
	require.NoError(t, err)
	return b
}

// TestFrames reads every recorded frame with Holdfast's codec and with
// go-libp2p-kad-dht's schema: both must decode the same message.
func TestFrames(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(framesDir, "*.hex"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".hex"), func(t *testing.T) {
			raw := readHex(t, file)
			b, err := wire.ReadFrame(bufio.NewReader(bytes.NewReader(raw)), nil, 4<<20)
			require.NoError(t, err)
			ours, err := wire.Parse(b)
			require.NoError(t, err)
			var theirs dhtpb.Message
			require.NoError(t, proto.Unmarshal(b, &theirs))

			require.EqualValues(t, theirs.Type, ours.Type)
			require.Equal(t, theirs.Key, ours.Key)
			require.Equal(t, (&request{msg: &theirs}).hasField11(), ours.WantsAck)
			if theirs.Record == nil {
				require.Nil(t, ours.Record)
			} else {
				require.Equal(t, theirs.Record.Key, ours.Record.Key)
				require.Equal(t, theirs.Record.Value, ours.Record.Value)
				require.Equal(t, theirs.Record.TimeReceived, ours.Record.TimeReceived)
			}
			samePeers(t, theirs.CloserPeers, ours.CloserPeers)
			samePeers(t, theirs.ProviderPeers, ours.ProviderPeers)
		})
	}
}

func samePeers(t *testing.T, theirs []*dhtpb.Message_Peer, ours []wire.Peer) {
	t.Helper()
	require.Len(t, ours, len(theirs))
	for i, p := range theirs {
		require.Equal(t, string(p.Id), string(ours[i].ID))
		require.Len(t, ours[i].Addrs, len(p.Addrs))
		for j, a := range p.Addrs {
			require.Equal(t, a, ours[i].Addrs[j])
		}
		require.EqualValues(t, p.Connection, ours[i].Connection)
	}
}
