package daemon

import (
	"context"
	"errors"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/holdfast-dht/holdfast/internal/config"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
)

// joinTimeout bounds how long a client waits for the first peer to answer: one
// dial and one probe, ten seconds each.
const joinTimeout = 20 * time.Second

// clientListen makes a short-lived node reachable while it runs, because peers refuse a
// provider record without addresses.
var clientListen = []string{"/ip4/0.0.0.0/tcp/0", "/ip4/0.0.0.0/udp/0/quic-v1"}

// Client is a short-lived client-mode node in this process with a random
// identity and its state in memory.
type Client struct {
	*Backend
	host host.Host
	node *node.Node
}

// StartClient joins the network that c and the bootstrap addresses describe. If none of
// them could be reached, the error is an ErrUnreachable that lists why.
func StartClient(ctx context.Context, c config.Config, bootstrap []string, logs *Logs) (*Client, error) {
	peers, err := ParseBootstrap(bootstrap)
	if err != nil {
		return nil, err
	}
	client, err := newClient(c, logs)
	if err != nil {
		return nil, err
	}
	if err := client.join(ctx, peers); err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return client, nil
}

func newClient(c config.Config, logs *Logs) (*Client, error) {
	key, err := NewIdentity()
	if err != nil {
		return nil, err
	}
	listen, _, err := listenable(clientListen)
	if err != nil {
		listen = nil // it can still dial
	}
	gate := rpc.NewGate(nil)
	hc := hostSettings(&c)
	hc.key, hc.listen, hc.gate = key, listen, gate
	hc.announce = nil // they have the daemon's ports
	h, err := newHost(hc)
	if err != nil {
		return nil, err
	}
	c.Network.Mode = string(node.ModeClient)
	nc := nodeConfig(&c, nil, logs)
	nc.Gate = gate
	n, err := node.New(h, nc)
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return &Client{Backend: &Backend{node: n, logs: logs}, host: h, node: n}, nil
}

// join connects to the peers and waits until one of them answers.
func (c *Client) join(ctx context.Context, peers []peer.AddrInfo) error {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	reached, failed := c.node.Connect(ctx, peers)
	if len(reached) == 0 {
		return unreachable(failed)
	}
	for _, err := range failed {
		c.logs.Logger("client").Warn("bootstrap peer not reached", "err", DialFailure(err))
	}
	return waitForPeer(ctx, c.node)
}

// Close stops the node.
func (c *Client) Close() error {
	return errors.Join(c.node.Close(), c.host.Close())
}
