package node

// Pinned while the packages that use them are being written.
import (
	_ "github.com/coreos/go-systemd/v22/daemon"
	_ "github.com/dustin/go-humanize"
	_ "github.com/ipfs/boxo/ipns"
	_ "github.com/ipfs/go-cid"
	_ "github.com/ipfs/go-datastore"
	_ "github.com/libp2p/go-libp2p"
	_ "github.com/libp2p/go-libp2p-record"
	_ "github.com/libp2p/go-libp2p/x/simlibp2p"
	_ "github.com/marcopolo/simnet"
	_ "github.com/multiformats/go-base32"
	_ "github.com/multiformats/go-multiaddr"
	_ "github.com/multiformats/go-multihash"
	_ "github.com/pelletier/go-toml/v2"
	_ "github.com/prometheus/client_golang/prometheus/promhttp"
	_ "github.com/rogpeppe/go-internal/testscript"
	_ "github.com/spf13/cobra"
	_ "github.com/spf13/cobra/doc"
	_ "github.com/stretchr/testify/require"
	_ "go.etcd.io/bbolt"
	_ "go.uber.org/goleak"
	_ "golang.org/x/time/rate"
	_ "google.golang.org/protobuf/encoding/protowire"
	_ "pgregory.net/rapid"
)
