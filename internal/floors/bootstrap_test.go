package floors

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// publicPeers are the bootstrap peers of the public network, six peers at seven addresses. The
// list is that of Kubo's defaults.
var publicPeers = []string{
	"/dnsaddr/bootstrap.libp2p.io/p2p/QmNnooDu7bfjPFoTZYxMNLWUQJyrVwtbZg5gBMjTezGAJN",
	"/dnsaddr/bootstrap.libp2p.io/p2p/QmQCU2EcMqAqQPR2i9bChDtGNJchTbq5TbXJJ16u19uLTa",
	"/dnsaddr/bootstrap.libp2p.io/p2p/QmbLHAnMoJPWSCR5Zhtx6BHJX9KiKNN6tpvbUcqanj75Nb",
	"/dnsaddr/bootstrap.libp2p.io/p2p/QmcZf59bWwK5XFi76CZX8cbJ4BhTzzA3gU1ZjYZcYW3dwt",
	"/dnsaddr/va1.bootstrap.libp2p.io/p2p/12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8",
	"/ip4/104.131.131.82/tcp/4001/p2p/QmaCpDMGvV2BGHeYERUEnRQAwe3N8SzbUtfsmvsqQLuvuJ",
	"/ip4/104.131.131.82/udp/4001/quic-v1/p2p/QmaCpDMGvV2BGHeYERUEnRQAwe3N8SzbUtfsmvsqQLuvuJ",
}

var (
	bootstrapList = regexp.MustCompile(`(?s)bootstrap = \[.*?\n?\s*\]`)
	quotedAddress = regexp.MustCompile(`"(/[^"\s]+/p2p/[^"\s]+)"`)
)

// otherPublicPeers returns the bootstrap lists in files for operators that name a public peer,
// but not all of them in order. lists is the number of lists that name one.
func otherPublicPeers(tree fs.FS) (wrong []string, lists int, err error) {
	err = fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{".git", "dist", "testdata"}, d.Name()) {
			return fs.SkipDir
		}
		if !slices.Contains([]string{".md", ".toml", ".yaml", ".yml"}, path.Ext(name)) {
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		for _, list := range bootstrapList.FindAllString(string(text), -1) {
			var have []string
			for _, m := range quotedAddress.FindAllStringSubmatch(list, -1) {
				have = append(have, m[1])
			}
			if !slices.ContainsFunc(have, func(a string) bool { return slices.Contains(publicPeers, a) }) {
				continue
			}
			lists++
			if !slices.Equal(have, publicPeers) {
				wrong = append(wrong, fmt.Sprintf("%s has another list of public bootstrap peers: %q", name, have))
			}
		}
		return err
	})
	return wrong, lists, err
}

// Every page and every example of a configuration has the same bootstrap peers of the public
// network.
func TestOneListOfPublicPeers(t *testing.T) {
	wrong, lists, err := otherPublicPeers(os.DirFS("../.."))
	require.NoError(t, err)
	require.Empty(t, wrong)
	require.Equal(t, 4, lists, "getting started, the guide of bootstrap nodes, compose, Kubernetes")
}

// A list that misses a peer is found; that of a private network is none of them.
func TestOtherListOfPublicPeers(t *testing.T) {
	short := fmt.Sprintf("[network]\nbootstrap = [\n  %q,\n  %q,\n]\n", publicPeers[0], publicPeers[1])
	wrong, lists, err := otherPublicPeers(fstest.MapFS{
		"short.toml":   {Data: []byte(short)},
		"private.toml": {Data: []byte("bootstrap = [\"/ip4/10.0.0.1/tcp/4011/p2p/12D3KooWA\"]\n")},
	})
	require.NoError(t, err)
	require.Equal(t, []string{fmt.Sprintf("short.toml has another list of public bootstrap peers: %q", publicPeers[:2])}, wrong)
	require.Equal(t, 1, lists)
}
